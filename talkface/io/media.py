"""Opening media files safely: local files only, known containers only, every fault one sentence.

Used by `video.py` and `sound.py`. Decoding is FFmpeg's, through PyAV. A file is never allowed to name another file or
an address (playlists, concatenation lists), so opening a stranger's file reads that file and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer

from talkface.errors import UserError

CONTAINERS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,mxf,dv,gif,nut,rm,"
    "wav,w64,flac,mp3,aac,aiff,caf,au,amr,ac3,eac3"
)
"""Demuxers that may be used: what cameras, phones, editors and recorders write; nothing that refers to other files."""


def open_media(path: Path) -> InputContainer:
    """Open a media file for reading.

    Raises:
        UserError: there is no such file, it is a folder, it cannot be read, it is empty, or it is not media.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder; a video or sound file was expected")
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the path of a video or sound file")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty (0 bytes); copy or record it again")
        return av.open(
            f"file:{path.absolute()}",
            mode="r",
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: permission denied") from error
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(
            f"{path} is not a video or sound file that can be read; convert it to mp4 or wav first"
        ) from error


def video_stream(container: InputContainer) -> av.VideoStream | None:
    """The moving picture of a file, or None; the cover picture of a song is not one."""
    for stream in container.streams.video:
        if not stream.disposition & type(stream.disposition).attached_pic:
            return stream
    return None


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """The sound track that a player would choose, or None."""
    return container.streams.best("audio")  # type: ignore[return-value]


def decode(container: InputContainer, stream: av.VideoStream | av.AudioStream) -> Iterator[Any]:
    """Decoded frames of one stream in order of presentation; packets that cannot be decoded are passed over."""
    if isinstance(stream, av.VideoStream):
        stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            yield from packet.decode()
        except StopIteration:
            return
        except (av.error.EOFError, av.error.PermissionError, av.error.OSError):
            return  # the file ends early; what was there has been read
        except av.error.FFmpegError:
            continue


def first_picture_time(path: Path) -> Fraction | None:
    """When the first video frame is shown on the file's own clock, seconds; None where there is no video track."""
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            return None
        for frame in decode(container, stream):
            return Fraction(0) if frame.pts is None else frame.pts * frame.time_base
    return None
