"""Run the original SyncNet v2 and Wav2Lip expert with seeded weights and keep their outputs (see README.md).

Needs on PYTHONPATH: joonson/syncnet_python (6efbb1c), Rudrabha/Wav2Lip (5c90fa9) and python_speech_features (e280ac2).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from filler import fill_by_name
from models.syncnet import SyncNet_color
from sync_inputs import inputs
from SyncNetInstance import calc_pdist
from SyncNetModel import S


def layout(net: torch.nn.Module) -> np.ndarray:
    return np.array([f"{name} {list(tensor.shape)}" for name, tensor in net.state_dict().items()])


def syncnet(pictures: np.ndarray, cepstra: np.ndarray) -> dict[str, np.ndarray]:
    net = S().eval()
    net.load_state_dict(fill_by_name(net.state_dict()))
    video = torch.from_numpy(pictures.transpose(3, 0, 1, 2)[None].astype(np.float32))
    sound = torch.from_numpy(cepstra.T[None, None].astype(np.float32))
    lips = net.forward_lip(torch.cat([video[:, :, frame : frame + 5] for frame in range(3)]))
    heard = net.forward_aud(torch.cat([sound[..., 4 * frame : 4 * frame + 20] for frame in range(3)]))
    return {"syncnet_lips": lips.numpy(), "syncnet_sound": heard.numpy(), "syncnet_layout": layout(net)}


def expert(faces: np.ndarray, mel: np.ndarray) -> dict[str, np.ndarray]:
    net = SyncNet_color().eval()
    net.load_state_dict(fill_by_name(net.state_dict()))
    windows = np.stack([np.concatenate(list(faces[frame : frame + 5] / 255), axis=2) for frame in range(3)])
    lower = torch.FloatTensor(windows.transpose(0, 3, 1, 2)[:, :, 48:])
    heard, lips = net(torch.FloatTensor(mel.transpose(0, 2, 1)[:, None]), lower)
    return {"expert_lips": lips.numpy(), "expert_sound": heard.numpy(), "expert_layout": layout(net)}


def distances() -> dict[str, np.ndarray]:
    """`calc_pdist` of SyncNetInstance.py and the three numbers it is reduced to; the sound is five frames late."""
    draw = np.random.default_rng(4)
    lips, heard = (draw.normal(0, 1, (60, 64)).astype(np.float32) for _ in range(2))
    heard[5:] += 2 * lips[:-5]
    mean = torch.stack(calc_pdist(torch.from_numpy(lips), torch.from_numpy(heard), vshift=15), 1).mean(1)
    least, index = mean.min(0)
    reduced = np.array([15 - index.item(), (mean.median() - least).item(), least.item()])
    return {"lips": lips, "sound": heard, "mean_distance": mean.numpy(), "offset_confidence_distance": reduced}


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = inputs()
    with torch.no_grad():
        found = {**syncnet(given["pictures"], given["cepstra"]), **expert(given["faces"], given["mel"])}
        np.savez_compressed(Path(__file__).with_name("sync.npz"), **found)
        np.savez_compressed(Path(__file__).with_name("sync_distances.npz"), **distances())
    print(
        {name: (value.shape, value.dtype, value.std(0).mean()) for name, value in found.items() if "layout" not in name}
    )
