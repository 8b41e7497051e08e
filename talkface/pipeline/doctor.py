"""What this machine has and lacks, feature by feature, with the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkface import assets


@dataclass(frozen=True)
class Finding:
    """One feature: there or not, what it is for, and how to get it."""

    feature: str
    here: bool
    detail: str
    mend: str = ""


def doctor(show: bool = True) -> list[dict[str, Any]]:
    """Look at this machine; print a table when `show`, and return the findings as plain values."""
    findings = [*_packages(), _compute(), *_assets(), _disk()]
    if show:
        from rich.console import Console
        from rich.table import Table

        table = Table("", "feature", "what is here", "how to get it", title="talkface doctor")
        for finding in findings:
            mark = "[green]yes[/]" if finding.here else "[yellow]no[/]"
            table.add_row(mark, finding.feature, finding.detail, finding.mend)
        Console().print(table)
    return [asdict(finding) for finding in findings]


def _packages() -> list[Finding]:
    wanted = [
        ("torch", "training and rendering", "pip install torch"),
        ("av", "reading and writing video", "pip install av"),
        ("mediapipe", "preprocessing video (face landmarks, person matte)", "pip install 'talkface[track]'"),
        ("espeakng_loader", "synthetic speakers saying any text", "pip install 'talkface[speech]'"),
    ]
    findings = [Finding(f"Python {platform.python_version()}", True, platform.platform(terse=True))]
    for module, use, command in wanted:
        here = importlib.util.find_spec(module) is not None
        findings.append(Finding(module, here, use, "" if here else command))
    return findings


def _compute() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("GPU", True, f"{name}, {memory:.0f} GB; preset full at 512 px is within reach")
    fast = torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else "unknown"
    return Finding("GPU", False, f"CPU with {cores} cores ({fast}): presets test and small", "a CUDA build of torch")


def _assets() -> list[Finding]:
    findings = []
    for asset in assets.ASSETS:
        path = assets.find(asset.name)
        detail = str(path) if path else f"gives {asset.gives}"
        findings.append(Finding(asset.file, path is not None, detail, "" if path else asset.get))
    return findings


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("disk", free > 5, f"{free:.0f} GB free here; a minute of 512 px video takes about 1 GB processed")
