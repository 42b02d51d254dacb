"""A WHEP viewer that is no browser: looks at a machine for a while and tells what came.

    foreign.py aiortc|wrtc ORIGIN TOKEN SECONDS TRUTH.png

TRUTH is read when a line comes on the standard input, and compared with the last picture. Prints one JSON object.
"""

import asyncio
import importlib
import json
import math
import sys
import time
import urllib.request

import av

# wrtc has aiortc's interface, too. By itself it looks for no address of this computer alone.
webrtc = importlib.import_module({"aiortc": "aiortc", "wrtc": "webrtc.aiortc"}[sys.argv[1]])
if sys.argv[1] == "wrtc":
    importlib.import_module("webrtc.loopback").allow_loopback()


def post(origin: str, token: str, offer: str) -> tuple[str, str]:
    request = urllib.request.Request(
        f"{origin}/whep",
        data=offer.encode(),
        headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"},
        method="POST",
    )
    with urllib.request.urlopen(request) as response:
        return response.read().decode(), response.headers["Location"]


def rgb(frame: av.VideoFrame) -> tuple[int, int, bytes]:
    plane = frame.reformat(format="rgb24").planes[0]
    data, width = bytes(plane), frame.width * 3
    rows = (data[at : at + width] for at in range(0, plane.line_size * frame.height, plane.line_size))
    return frame.width, frame.height, b"".join(rows)


def likeness(one: av.VideoFrame, other: av.VideoFrame) -> tuple[float | None, list[float]]:
    """Decibels of luma and colours together, and the mean difference of red, green and blue."""
    (width, height, a), (truth_width, truth_height, b) = rgb(one), rgb(other)
    if width - truth_width not in (0, 1) or height - truth_height not in (0, 1):
        return None, []
    square, shifts, count = 0, [0, 0, 0], 0
    for y in range(0, truth_height, 3):
        for x in range(0, truth_width, 3):
            at, of = (y * width + x) * 3, (y * truth_width + x) * 3
            for colour in range(3):
                difference = a[at + colour] - b[of + colour]
                square += difference * difference
                shifts[colour] += difference
            count += 1
    return 10 * math.log10(255 * 255 / max(square / (count * 3), 1e-3)), [round(s / count, 2) for s in shifts]


async def main() -> None:
    origin, token, seconds, truth = sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5]
    peer = webrtc.RTCPeerConnection(webrtc.RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    told: list[str] = []
    keys = peer.createDataChannel("keys")
    keys.on("message", told.append)
    last, times, sizes = None, [], set()

    @peer.on("track")
    def on_track(track):
        async def watch():
            nonlocal last
            while True:
                try:
                    last = await track.recv()
                except Exception:
                    return
                times.append(time.monotonic())
                sizes.add((last.width, last.height))

        asyncio.ensure_future(watch())

    begun = time.monotonic()
    await peer.setLocalDescription(await peer.createOffer())
    answer, location = await asyncio.to_thread(post, origin, token, peer.localDescription.sdp)
    await peer.setRemoteDescription(webrtc.RTCSessionDescription(answer, "answer"))
    while not times:
        if time.monotonic() - begun > 60:
            raise SystemExit(f"no picture within 60 s; the connection is {peer.connectionState}")
        await asyncio.sleep(0.05)
    await asyncio.sleep(seconds)
    moving = len(times)
    print("rest", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    with av.open(truth) as file:
        picture = next(file.decode(video=0))
    decibels, shifts = likeness(last, picture)
    gaps = [later - earlier for earlier, later in zip(times[:moving], times[1:moving])]
    codec = next(line for line in answer.splitlines() if line.startswith("a=rtpmap:")).split(" ", 1)[1]
    print(json.dumps({
        "codec": codec,
        "first": round((times[0] - begun) * 1000),
        "pictures": moving,
        "per_second": round(moving / seconds, 1),
        "longest_gap": round(max(gaps, default=0) * 1000),
        "sizes": sorted(sizes),
        "decibels": decibels and round(decibels, 1),
        "shift_of_red_green_blue": shifts,
        "messages": sorted({json.loads(text)["t"] for text in told}),
        "state": peer.connectionState,
    }), flush=True)
    request = urllib.request.Request(origin + location, headers={"Authorization": f"Bearer {token}"}, method="DELETE")
    await asyncio.to_thread(urllib.request.urlopen, request)
    await peer.close()


asyncio.run(main())
