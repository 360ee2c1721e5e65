#!/usr/bin/env python3
"""The least engine in another language (docs/worker.md): exec_engine.py [MODE]

Every value of its answers is 1, in the right shapes. MODE: crash (in the first decode), garbage (no JSON for outputs),
outside (a tensor that is not in the memory), print (into the stream).
"""
import json
import mmap
import os
import struct
import sys

MODE = sys.argv[1] if len(sys.argv) > 1 else ""


def receive():
    head = sys.stdin.buffer.read(4)
    return json.loads(sys.stdin.buffer.read(struct.unpack("<I", head)[0])) if len(head) == 4 else None


def send(text):
    sys.stdout.buffer.write(struct.pack("<I", len(text)) + text.encode())
    sys.stdout.buffer.flush()


def shapes(session, config):
    rows, steps, patch = session["rows"], session["steps"], config["patch"]
    values = rows + [steps] + ([config["n_component"]] if config["mixture"] else [])
    once = rows + [1 if config["scaler"] == "StdMeanScaler" else steps]
    named = {"df": values, "loc": values, "scale": values, "mean": rows + [patch], "scaler_loc": once,
             "scaler_scale": once}
    return {**named, "probs": values} if config["mixture"] else named


def write_ones(session, config):
    """Lays the tensors into the shared memory, descriptor 3, one behind the other; what outputs answers."""
    tensors, at = [], 0
    for name, shape in shapes(session, config).items():
        count = 1
        for n in shape:
            count *= n
        tensors.append({"name": name, "dtype": "F32", "shape": shape, "offset": at})
        at = (at + 4 * count + 63) // 64 * 64
    if os.fstat(3).st_size < at:
        os.ftruncate(3, at)
    with mmap.mmap(3, at) as memory:
        memory[:at] = struct.pack("<f", 1.0) * (at // 4)
    if MODE == "outside":
        tensors[0]["offset"] = 1 << 40
    return {"tensors": tensors}


def main():
    engines, sessions = {}, {}
    while (request := receive()) is not None:
        do, answer = request["do"], {}
        session = sessions.get(request.get("session"))
        if do == "hello":
            answer = {"protocol": 1, "abi": request["abi"], "name": "ones", "about": "every value is 1", "has": []}
        elif do == "create":
            answer = {"engine": len(engines)}
            engines[len(engines)] = request["config"]
        elif do == "session_open":
            answer = {"session": len(sessions)}
            sessions[len(sessions)] = {"engine": request["engine"], "rows": [request["batch"], request["variates"]]}
        elif do == "prefill":
            patch = engines[session["engine"]]["patch"]
            session["steps"] = (request["n_step"] + patch - 1) // patch * patch
        elif do == "decode":
            if MODE == "crash":
                os.abort()
            session["steps"] = engines[session["engine"]]["patch"]
        elif do == "outputs":
            if MODE == "garbage":
                send("ones, ones, ones")
                continue
            answer = write_ones(session, engines[session["engine"]])
        elif do == "stats":
            counters = ("launches", "captures", "replays", "cache_hits", "fallbacks", "replaced", "host_live",
                        "host_peak", "device_live", "device_peak", "device_used", "waits", "copied")
            answer = {"stats": {**dict.fromkeys(counters, 0), "math_mode": "none", "device": "python",
                                "rolled_back": False, "emulated": False}}
        if MODE == "print":
            print("hello, here is the engine", flush=True)
        send(json.dumps({"status": "ok", **answer}))


main()
