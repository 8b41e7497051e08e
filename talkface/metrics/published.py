"""The numbers of the five papers' tables, as printed, with what is odd about them and why ours do not compare.

Each was read in the paper's own text (tests compare them with it). Columns carry the names of our scores, so that a
published column falls under the one that measures the same; AU accuracy is a fraction here and a percentage there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from talkface.metrics.tables import PUBLISHED_BACKEND, Block, Column, Entry
from talkface.types import Score


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper."""

    paper: str
    number: str
    about: str
    columns: tuple[Column, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    """Row title as printed -> values; None where the paper prints none."""
    not_comparable: str
    truth: str = ""
    """The row of the true videos, which is not ranked."""
    remarks: tuple[str, ...] = ()
    """Misprints, disagreements between tables, and where this project's design pages read it differently."""

    def block(self, only: Sequence[str] | None = None) -> Block:
        """Its rows (or some of them) for `tables.table`."""
        chosen = self.rows if only is None else {title: self.rows[title] for title in only}
        entries = [
            Entry(
                title,
                [
                    Score(c.name, value, c.higher_is_better is not False, 0, c.region, PUBLISHED_BACKEND, _why(value))
                    for c, value in zip(self.columns, values, strict=True)
                ],
                ranked=title != self.truth,
            )
            for title, values in chosen.items()
        ]
        return Block(f"Published: {self.paper}, {self.number} ({self.about})", entries, self._caution())

    def _caution(self) -> str:
        odd = [remark.rstrip(".") for remark in self.remarks]
        return f"{self.not_comparable}. " + ". ".join([*odd, ""]).strip() if odd else self.not_comparable


def _why(value: float | None) -> str:
    return "" if value is not None else "the paper prints none"


def published(name: str) -> PublishedTable:
    """A table by method and number, such as "blink_hashgrid.3".

    Raises:
        KeyError: there is none; `TABLES` lists them.
    """
    return TABLES[name]


def _columns(*parts: tuple[str, str, str, bool, int]) -> tuple[Column, ...]:
    return tuple(Column(name, region, title, higher, digits) for name, region, title, higher, digits in parts)


_PSNR = ("psnr", "frame", "PSNR", True, 3)
_SSIM = ("ssim", "frame", "SSIM", True, 3)
_LPIPS = ("lpips", "frame", "LPIPS", False, 3)
_SYNC = ("lse_c", "mouth", "Sync", True, 3)
_LSE_C = ("lse_c", "mouth", "LSE-C", True, 3)
_EXP_DIFF = ("exp_diff", "face", "Exp-Diff", False, 3)

_BLINK = "other videos, 512 px, a far longer training, head over the true torso, and networks that may not be here"
_BLINK_COLUMNS = _columns(
    _PSNR, _LPIPS, ("lmd", "mouth", "LMD", False, 3), ("fid", "frame", "FID", False, 3), _SYNC
)  # fmt: skip
_BLINK_GT = (None, 0.0, 0.0, 0.0, None)
_TALKER = (
    "other videos in two random groups, head on white, another AU detector, and 79 lip points the paper leaves open"
)
_TALKER_COLUMNS = (
    *_columns(_SSIM, _LPIPS),
    Column("au", "face", "AU Acc", True, 1, percent=True),
    *_columns(("lmd_79", "mouth", "LMD-79", False, 3), _SYNC),
)
_JEAN = "four people of MEAD, driven by somebody else's speech and scored against the expression source's frames"
_KPBE = "other videos, cropped as FOMM does; the test set is not published"
_CPEB = "an unpublished subset of VoxCeleb2 at 224 px; the two tables used different ones"
_CPEB_COLUMNS = _columns(
    _SSIM, ("lmd_inner8", "mouth", "LMD mouth", False, 3), ("lmd_eye", "eyes", "LMD eye", False, 3)
)  # fmt: skip
_TALKER_FULL = (0.835, 0.037, 0.753, 2.529, 1.956)

TABLES: Mapping[str, PublishedTable] = {
    "blink_hashgrid.1": PublishedTable(
        "BLINK", "Table I", "Macron, 512 px", _BLINK_COLUMNS,
        {
            "GT": _BLINK_GT,
            "DFRF": (30.863, 0.101, 3.173, 15.076, 4.314),
            "Geneface": (34.267, 0.027, 2.694, 10.102, 6.645),
            "Er-Nerf": (35.100, 0.028, 2.815, 10.275, 6.532),
            "Ours": (35.907, 0.025, 2.801, 10.170, 6.742),
        },
        _BLINK, "GT",
        ("The full model's LMD is 2.801 here and 2.691 in Table III, with PSNR and Sync the same.",
         "The text calls a smaller absolute Sync better, the column's arrow a larger one: read as confidence, LSE-C."),
    ),
    "blink_hashgrid.2": PublishedTable(
        "BLINK", "Table II", "Obama", _BLINK_COLUMNS,
        {
            "GT": _BLINK_GT,
            "Er-Nerf": (37.353, 0.021, 2.492, 9.642, 6.734),
            "Ours": (36.754, 0.016, 2.584, 9.431, 6.908),
        },
        _BLINK, "GT",
        ("The text calls ER-NeRF's LMD the higher score; by the column's arrow 2.492 is simply the better one.",),
    ),
    "blink_hashgrid.3": PublishedTable(
        "BLINK", "Table III", "ablation, Macron, 512 px",
        _columns(_PSNR, ("lpips", "frame", "LPIPS", False, 4), ("lmd", "mouth", "LMD", False, 3), _SYNC),
        {
            "GT": (None, 0.0, 0.0, None),
            "w/o D w/o E": (35.438, 0.0347, 2.721, 6.231),
            "w/o E w D": (36.194, 0.0274, 2.731, 6.685),
            "w E w D": (35.891, 0.0259, 2.729, 6.704),
            "w Tri-Hash w E w D": (35.907, 0.0256, 2.691, 6.742),
        },
        _BLINK, "GT",
        ("The full model's LMD is 2.691 here and 2.801 in Table I.",
         "The best PSNR is without the eye module, not the full model's."),
    ),
    "nerf3dtalker.1a": PublishedTable(
        "NeRF-3DTalker", "Table I", "Test A", _TALKER_COLUMNS,
        {
            "Ground-truth": (None, None, None, None, 2.729),
            "Wav2Lip": (0.793, 0.052, 0.722, 2.921, 2.237),
            "DFRF": (0.818, 0.045, 0.714, 3.003, 1.765),
            "GeneFace": (0.811, 0.042, 0.731, 2.815, 1.793),
            "NeRF-AD": (0.831, 0.040, 0.733, 2.633, 1.801),
            "SyncTalk": (0.828, 0.043, 0.736, 2.511, 1.793),
            "Ours": _TALKER_FULL,
        },
        _TALKER, "Ground-truth",
    ),
    "nerf3dtalker.1b": PublishedTable(
        "NeRF-3DTalker", "Table I", "Test B", _TALKER_COLUMNS,
        {
            "Ground-truth": (None, None, None, None, 2.772),
            "Wav2Lip": (0.821, 0.059, 0.767, 3.067, 1.971),
            "DFRF": (0.851, 0.041, 0.757, 2.859, 1.694),
            "GeneFace": (0.857, 0.036, 0.754, 2.864, 1.712),
            "NeRF-AD": (0.882, 0.032, 0.769, 2.772, 1.756),
            "SyncTalk": (0.885, 0.029, 0.769, 2.852, 1.727),
            "Ours": (0.880, 0.025, 0.784, 2.650, 1.868),
        },
        _TALKER, "Ground-truth",
        ("The text's decrease of LMD-79 by 0.021 against GeneFace is 0.214 by the table.",),
    ),
    "nerf3dtalker.2": PublishedTable(
        "NeRF-3DTalker", "Table II", "ablation of the audio disentanglement, Test A", _TALKER_COLUMNS,
        {
            "Ground-truth": (None, None, None, None, 2.729),
            "use ent. aud.": (0.796, 0.046, 0.691, 3.001, 1.412),
            "use spe. aud.": (0.808, 0.044, 0.727, 2.794, 1.699),
            "use dis. aud.": (0.819, 0.041, 0.724, 2.637, 1.721),
        },
        _TALKER, "Ground-truth",
        ("Its last row equals `w/o Global` of Table III, so this table was made without the Standardized Space.",),
    ),
    "nerf3dtalker.3": PublishedTable(
        "NeRF-3DTalker", "Table III", "ablation of the Standardized Space, Test A", _TALKER_COLUMNS,
        {
            "Ground-truth": (None, None, None, None, 2.279),
            "w/o Global": (0.819, 0.041, 0.724, 2.637, 1.721),
            "w/o AU": (0.832, 0.039, 0.731, 2.624, 1.719),
            "Ours": _TALKER_FULL,
        },
        _TALKER, "Ground-truth",
        ("It prints the ground truth's SyncNet as 2.279, Tables I and II as 2.729: probably a misprint here.",
         "Rows improve one by one in all but SyncNet, so parts seem removed cumulatively (our reading)."),
    ),
    "jean.1": PublishedTable(
        "JEAN", "Table 1", "MEAD, four people",
        _columns(_LSE_C, ("acd", "face", "ACD", False, 3), _EXP_DIFF, _PSNR, _SSIM, _LPIPS),
        {
            "AD-NeRF": (4.380, 0.141, 0.080, 20.467, 0.698, 0.187),
            "NeRFace": (1.966, 0.103, 0.023, 21.335, 0.736, 0.175),
            "EAMM": (1.771, 0.284, 0.111, 18.474, 0.592, 0.248),
            "PD-FGC": (6.220, 0.657, 0.089, 21.094, 0.648, 0.228),
            "EAT": (7.200, 0.183, 0.078, 19.222, 0.691, 0.205),
            "Ours": (4.466, 0.095, 0.043, 21.224, 0.720, 0.174),
        },
        _JEAN,
        remarks=("NeRFace hears no speech: its Exp-Diff is the lowest and its LSE-C next to the lowest.",),
    ),
    "jean.2": PublishedTable(
        "JEAN", "Table 2", "ablation, MEAD",
        _columns(_LSE_C, _EXP_DIFF, _LPIPS),
        {
            "(a)": (1.804, 0.027, 0.170),
            "(b)": (1.848, 0.022, 0.161),
            "(c)": (1.760, 0.028, 0.168),
            "(d)": (2.982, 0.071, 0.190),
            "Full Net.": (4.466, 0.043, 0.174),
        },
        _JEAN,
        remarks=("A low Exp-Diff with a low LSE-C means that speech was ignored.",),
    ),
    "kpbe.1": PublishedTable(
        "KPBE", "Table I", "256 px",
        _columns(("ssim", "frame", "SSIM", True, 2), ("psnr", "frame", "PSNR", True, 2)),
        {
            "Wav2lip": (0.85, 28.67),
            "Wav2lip+KPBE(Ours)": (0.90, 30.37),
            "PC-AVS": (0.80, 22.19),
            "PC-AVS+KPBE(Ours)": (0.82, 23.64),
        },
        _KPBE,
    ),
    "kpbe.2": PublishedTable(
        "KPBE", "Table II", "mean opinion of ten listeners, 13 videos each",
        _columns(
            ("mos_lip_sync", "video", "Lip Sync", True, 2),
            ("mos_head_pose", "video", "Head Pose Naturalness", True, 2),
            ("mos_realness", "video", "Video Realness", True, 2),
        ),
        {
            "Wav2lip": (4.11, 4.03, 4.09),
            "Wav2lip+KPBE(Ours)": (4.14, 4.14, 4.27),
            "PC-AVS": (3.44, 3.12, 3.25),
            "PC-AVS+KPBE(Ours)": (3.70, 3.31, 3.41),
            "Ground_truth": (4.59, 4.50, 4.73),
        },
        "other listeners and other videos: opinions compare only inside one listening test", "Ground_truth",
        ("No interval is printed.",),
    ),
    "cpeb.1": PublishedTable(
        "CP-EB", "Table I", "VoxCeleb2", _CPEB_COLUMNS,
        {
            "PC-AVS": (0.717, 1.562, 5.124),
            "DAVS": (0.622, 2.557, 7.920),
            "FACIAL": (0.703, 1.550, 3.508),
            "CP-EB": (0.721, 1.547, 3.826),
        },
        _CPEB,
        remarks=("CP-EB's own row differs from the one of Table II, so the two used different subsets.",),
    ),
    "cpeb.2": PublishedTable(
        "CP-EB", "Table II", "ablation, VoxCeleb2", _CPEB_COLUMNS,
        {
            "CP-EB": (0.689, 1.486, 3.048),
            "w/o pose": (0.437, 1.535, 3.283),
            "w/o AU": (0.628, 1.479, 5.500),
            "w/o eye aug": (0.596, 1.481, 4.921),
        },
        _CPEB,
        remarks=("Without AU or eye augmentation LMD mouth is slightly better than with them.",),
    ),
}  # fmt: skip
"""Every table with numbers, by method and number; NeRF-3DTalker's Table I in two halves."""
