#!/usr/bin/env python3
"""Times the official Toto (PyPI toto-ts, class TotoBackbone) on the shapes that `oracle-diff bench` times.

  peer_toto.py --shape seed-tiny,batch=2,variates=4,context=32 [--shape …] [--mode eager …] [--json FILE]

Works: prefill (a forward of the whole context, no cache), decode (one patch more: with the official KV cache, and
recomputed without one), rollout (TotoForecaster: mean forecasts of the batch, and as many samples of one series).
Modes: eager; reduce-overhead and max-autotune of torch.compile. What does not run is a line of its own that says why.
Weights are random (times do not depend on them), float32, TF32 off; on a CPU one thread. Lines keep to
bench.schema.json.

--serve: prepare everything, print "ready", run one turn for every line on stdin and answer "done" with its medians;
results at stdin's end. So bench/run lets this process and ours take turns.
"""
import argparse
import importlib.metadata
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import time
import types
import warnings

warnings.filterwarnings("ignore")

PRESETS = {
    "seed-tiny": dict(
        patch_size=4, stride=4, embed_dim=32, num_layers=6, num_heads=4, mlp_hidden_dim=64, dropout=0.0,
        spacewise_every_n_layers=3, spacewise_first=True, scaler_cls="<class 'model.scaler.StdMeanScaler'>",
        output_distribution_classes=["<class 'model.distribution.StudentTOutput'>"],
        use_memory_efficient_attention=False),
    "toto-open-base": dict(
        patch_size=64, stride=64, embed_dim=768, num_layers=12, num_heads=12, mlp_hidden_dim=3072, dropout=0.0,
        spacewise_every_n_layers=12, spacewise_first=False,
        scaler_cls="<class 'model.scaler.CausalPatchStdMeanScaler'>",
        output_distribution_classes=["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
        output_distribution_kwargs={"k_components": 24}, use_memory_efficient_attention=False),
}
SHAPE = dict(batch=1, variates=1, context=64, steps=8, rollout=0)
MODES = ("eager", "reduce-overhead", "max-autotune")


def parse_shape(text):
    preset, *rest = text.split(",")
    shape = dict(SHAPE)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in shape or not equals or not value.isdigit():
            raise argparse.ArgumentTypeError(f"'{word}': one of {', '.join(shape)}=N would be right")
        shape[name] = int(value)
    if preset not in PRESETS or min(shape["batch"], shape["variates"], shape["context"]) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': a preset of {', '.join(PRESETS)}, then sizes of at least 1")
    return preset, shape


# ---- the package -------------------------------------------------------------------------------------------------


def bare_package(name, path):
    """A package whose __init__ is left out: its modules load from path as they are."""
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module


def without_gluonts():
    """gluonts where it cannot be imported: of its four names none computes anything in TotoBackbone's forward.
    `validated` checks constructor arguments, Scaler is an interface, StudentT is torch's with cdf and icdf added,
    AffineTransformed.mean is mean·scale + loc, as in gluonts."""
    import torch

    class Scaler:
        pass

    class AffineTransformed(torch.distributions.TransformedDistribution):
        def __init__(self, base_distribution, loc=None, scale=None):
            self.scale, self.loc = 1.0 if scale is None else scale, 0.0 if loc is None else loc
            super().__init__(base_distribution, [torch.distributions.AffineTransform(self.loc, self.scale)])

        @property
        def mean(self):
            return self.base_dist.mean * self.scale + self.loc

    for name in [n for n in sys.modules if n.split(".")[0] in ("gluonts", "toto")]:
        del sys.modules[name]
    for name, members in {
        "gluonts": {}, "gluonts.core": {}, "gluonts.torch": {},
        "gluonts.core.component": {"validated": lambda *_: lambda init: init},
        "gluonts.torch.scaler": {"Scaler": Scaler},
        "gluonts.torch.distributions": {"AffineTransformed": AffineTransformed},
        "gluonts.torch.distributions.studentT": {"StudentT": torch.distributions.StudentT},
    }.items():
        bare_package(name, "")
        vars(sys.modules[name]).update(members)


def import_toto():
    """TotoBackbone, TotoForecaster, MaskedTimeseries, and what was left out of their dependencies. gluonts.torch's
    __init__ imports its training code (lightning); the modules that Toto takes from it need none of that."""
    left_out = ["gluonts.torch.__init__"]

    def classes():
        from toto.data.util.dataset import MaskedTimeseries
        from toto.inference.forecaster import TotoForecaster
        from toto.model.backbone import TotoBackbone
        return TotoBackbone, TotoForecaster, MaskedTimeseries

    try:
        import gluonts
        bare_package("gluonts.torch", os.path.join(gluonts.__path__[0], "torch"))
        return (*classes(), left_out)
    except Exception as error:  # missing, or unfit for this numpy: whatever ails it
        without_gluonts()
        return (*classes(), [f"gluonts ({type(error).__name__}: {error})"])


# ---- works -------------------------------------------------------------------------------------------------------


class OutOfTime(BaseException):
    """Raised by the alarm; no Exception, so that torch's compiler does not take it for a fault of its own."""


def alarm(*_):
    raise OutOfTime


class Work:
    """One thing to be timed: call() returns the seconds of one or more calls."""

    def __init__(self, work, mode, call, rounds_per_turn):
        self.work, self.mode, self.call, self.per_turn = work, mode, call, rounds_per_turn
        self.first, self.seconds, self.error, self.warm, self.begun = None, [], None, 0.0, 0

    def turn_median(self):
        """Median of the last turn in seconds; None where it failed."""
        last = sorted(self.seconds[self.begun:])
        return None if self.error or not last else quantile(last, 0.5)

    def guarded(self, keep):
        if self.error:
            return
        try:
            taken = self.call()
        except OutOfTime:
            self.error = "not ready in time"
            return
        except Exception as error:  # what a mode cannot do is a result
            text = str(error).strip().splitlines() or [""]
            self.error = f"{type(error).__name__}: {text[0]}"[:300]
            return
        if keep:
            self.seconds += taken
        elif self.first is None:
            self.first = taken[0]
        else:
            self.warm += sum(taken)


class Bench:
    """A model of one preset, its inputs, and the works of one mode on one shape."""

    def __init__(self, toto, preset, shape, mode, device, compile_cached):
        import torch
        self.torch, self.toto, self.device = torch, toto, device
        self.preset, self.shape, self.mode = preset, shape, mode
        self.compile_cached = compile_cached
        torch.distributions.Distribution.set_default_validate_args(mode == "eager")
        torch.manual_seed(1)
        begin = time.perf_counter()
        self.model = toto[0](**PRESETS[preset]).eval().to(device)
        self.sync()
        self.create = time.perf_counter() - begin
        self.patch = PRESETS[preset]["patch_size"]
        pad = -shape["context"] % self.patch  # TotoForecaster pads on the left; so is the model's own input here
        self.n = shape["context"] + pad
        total = self.n + max(shape["steps"], 1) * self.patch
        size = (shape["batch"], shape["variates"], total)
        self.series = torch.randn(size, device=device)
        self.mask = torch.ones(size, dtype=torch.bool, device=device)
        self.mask[..., :pad] = False
        self.ids = torch.zeros(size, dtype=torch.int, device=device)
        self.forward = self.grown = self.model
        if mode != "eager":
            # Fixed shapes, except where the length grows from call to call: there torch chooses.
            self.forward, self.grown = self.compiled(mode, False), self.compiled(mode, None)
        self.works = list(self.make_works())

    def sync(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def compiled(self, mode, dynamic):
        """The forward as tensors: a distribution object's checks would break the graph, to the peer's disadvantage."""
        torch, model = self.torch, self.model
        def tensors(*inputs):
            d, loc, scale = model(*inputs)
            c = getattr(d, "component_distribution", d)
            probs = d.mixture_distribution.probs if c is not d else c.df
            return c.df, c.loc, c.scale, probs, loc, scale

        compiled = torch.compile(tensors, mode=mode, dynamic=dynamic)

        def call(*inputs):
            torch.compiler.cudagraph_mark_step_begin()
            return compiled(*inputs)

        return call

    def one(self, end, cache=None):
        inputs = (self.series[..., :end], self.mask[..., :end], self.ids[..., :end])
        self.sync()
        begin = time.perf_counter()
        with self.torch.no_grad():
            (self.grown if cache else self.forward)(*inputs, cache, self.n)
        self.sync()
        return time.perf_counter() - begin

    def cached(self):
        cache = self.model.allocate_kv_cache(self.shape["batch"], self.shape["variates"], self.series.shape[-1],
                                             self.torch.device(self.device), self.torch.float32)
        self.one(self.n, cache)
        return [self.one(self.n + (i + 1) * self.patch, cache) for i in range(self.shape["steps"])]

    def rollout(self, samples, cache):
        _, Forecaster, Masked, _ = self.toto
        torch, shape = self.torch, self.shape
        batch = 1 if samples else shape["batch"]
        cut = (slice(batch), slice(None), slice(self.n))
        series = self.series[cut].contiguous()
        stamps = torch.zeros(series.shape, dtype=torch.int, device=self.device)
        every = torch.ones(series.shape[:2], dtype=torch.int, device=self.device)
        context = Masked(series=series, padding_mask=self.mask[cut], id_mask=self.ids[cut], timestamp_seconds=stamps,
                         time_interval_seconds=every)
        extra = dict(num_samples=shape["batch"], samples_per_batch=shape["batch"]) if samples else {}
        forecaster = Forecaster(self.model)
        self.sync()
        begin = time.perf_counter()
        forecaster.forecast(context, shape["rollout"], use_kv_cache=cache, **extra)
        self.sync()
        return [time.perf_counter() - begin]

    def make_works(self):
        per_turn = 5
        yield Work("prefill", self.mode, lambda: [self.one(self.n)], per_turn)
        if self.shape["steps"]:
            yield Work("decode", f"{self.mode}, recomputed", lambda: [self.one(self.n + self.patch)], per_turn)
            if self.mode == "eager" or self.compile_cached:
                yield Work("decode", f"{self.mode}, KV cache", self.cached, 1)
        if self.shape["rollout"] and self.mode == "eager":
            yield Work("rollout", "eager, mean, KV cache", lambda: self.rollout(False, True), 1)
            yield Work("rollout", "eager, mean, recomputed", lambda: self.rollout(False, False), 1)
            yield Work("rollout", "eager, samples, KV cache", lambda: self.rollout(True, True), 1)

    def prepare(self, work, warm_ups, seconds):
        """First call and warm-up, in so many seconds at most."""
        if seconds <= 0:
            work.error = "not ready in time"
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0))
        for _ in range(1 + warm_ups):
            work.guarded(keep=False)
        signal.setitimer(signal.ITIMER_REAL, 0)
        first = work.error or f"{1e3 * work.first:.4g} ms"
        print(f"{self.preset} {work.work} ({work.mode}): first {first}", file=sys.stderr, flush=True)

    def turn(self, work, limit):
        """So many calls; fewer of slow ones, so that a turn lasts about limit seconds."""
        begin, work.begun = time.perf_counter(), len(work.seconds)
        for _ in range(work.per_turn):
            work.guarded(keep=True)
            if time.perf_counter() - begin > limit:
                break


# ---- results -----------------------------------------------------------------------------------------------------


def quantile(ordered, q):
    at = q * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def summary(seconds):
    ms = sorted(1e3 * s for s in seconds)
    return dict(n=len(ms), p50_ms=quantile(ms, 0.5), p95_ms=quantile(ms, 0.95), p99_ms=quantile(ms, 0.99),
                min_ms=ms[0], max_ms=ms[-1], mean_ms=sum(ms) / len(ms))


def card():
    query = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu"
    try:
        text = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"], check=True,
                              capture_output=True, text=True, timeout=20).stdout.splitlines()[0]
        name, driver, sm, most, memory, celsius = [w.strip() for w in text.split(",")]
        return dict(read=True, name=name, driver=driver, sm_mhz=int(sm), sm_max_mhz=int(most), memory_mhz=int(memory),
                    temperature_c=int(celsius))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return dict(read=False, why=type(error).__name__)


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next((l.split(":", 1)[1].strip() for l in f if l.startswith("model name")), "unknown")
    except OSError:
        return "unknown"


def versions(torch, left_out):
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return dict(host=platform.node(), os=platform.platform(), cpu=cpu_name(), cores=os.cpu_count() or 0,
                python=platform.python_version(), torch=torch.__version__, threads=torch.get_num_threads(),
                toolkit=torch.version.cuda or "none", blas=blas.group(1) if blas else "",
                toto=importlib.metadata.version("toto-ts"), left_out=left_out)


def lines_of(bench, machine, imported, before, time_text):
    torch = bench.torch
    engine = f"toto-ts {machine['toto']}"
    yield dict(type="bench", format=1, tool="peer_toto.py", time=time_text, model=bench.preset, shape=bench.shape,
               machine=machine, card=before)
    device = torch.cuda.get_device_name() if bench.device == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    yield dict(type="side", side="peer", engine=engine, mode=bench.mode, device=device, math="float32",
               first=dict(import_ms=1e3 * imported, create_ms=1e3 * bench.create),
               warmup=dict(total_ms=1e3 * sum(w.warm for w in bench.works)))
    for work in bench.works:
        line = dict(side="peer", engine=engine, mode=work.mode, work=work.work)
        if work.error or not work.seconds:
            yield dict(type="failure", **line, error=work.error or "nothing was timed")
        else:
            yield dict(type="timing", **line, **summary(work.seconds), first_ms=1e3 * work.first)
    yield dict(type="end", card=card())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", type=parse_shape, required=True,
                        help="PRESET[,batch=N][,variates=N][,context=T][,steps=N][,rollout=N]; repeatable")
    parser.add_argument("--mode", action="append", choices=MODES, help="default eager; repeatable")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--turns", type=int, default=6, help="turns of each work (default 6)")
    parser.add_argument("--seconds", type=float, default=2, help="about so long a work and turn at most (default 2)")
    parser.add_argument("--warm-up", type=int, default=3, help="calls behind the first that do not count (default 3)")
    parser.add_argument("--patience", type=float, default=1e6,
                        help="a work whose first calls are not done so many seconds after the start is a failure")
    parser.add_argument("--compile-cached", action="store_true", help="compile decoding with the KV cache as well")
    parser.add_argument("--json", help="results as JSON Lines (default: standard output)")
    parser.add_argument("--serve", action="store_true", help="turns on demand, see above")
    options = parser.parse_args()

    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("peer_toto.py: ended before it was done"))
    begin = time.perf_counter()
    until = begin + options.patience
    import torch
    *toto, left_out = import_toto()
    toto = (*toto, left_out)
    imported = time.perf_counter() - begin
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(1)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    machine, before = versions(torch, left_out), card()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    out = open(options.json, "w", encoding="utf-8") if options.json else sys.stdout

    def put(bench):
        for line in lines_of(bench, machine, imported, before, now):
            print(json.dumps(line), file=out, flush=True)

    benches = []
    for mode in options.mode or ["eager"]:
        for preset, shape in options.shape:
            bench = Bench(toto, preset, shape, mode, device, options.compile_cached)
            benches.append(bench)
            try:  # what was timed is written even where time runs out
                for work in bench.works:
                    bench.prepare(work, options.warm_up, until - time.perf_counter())
                    for _ in range(0 if options.serve else options.turns):
                        bench.turn(work, options.seconds)
            finally:
                if not options.serve:
                    put(bench)
    if options.serve:
        print("ready", flush=True)
        for _ in sys.stdin:
            for bench in benches:
                for work in bench.works:
                    bench.turn(work, options.seconds)
            medians = [[work.work, work.mode, work.turn_median()] for bench in benches for work in bench.works]
            print("done", json.dumps(medians), flush=True)
        for bench in benches:
            put(bench)


if __name__ == "__main__":
    main()
