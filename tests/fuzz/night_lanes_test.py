"""nightly with the true targets, all lanes: each plays, and each target's corpus is covered. The build has no planted
fault, so that the night is red for want of a canary, and for nothing else."""
import os

from night_harness import NIGHTLY, check, exits, files, journal, main


@check
def all_lanes(place):
    for name in ("fuzz_forward", "fuzz_session", "fuzz_modes"):
        os.unlink(place.path("bin/" + name))
        os.symlink(os.path.join(os.path.dirname(NIGHTLY), name), place.path("bin/" + name))
    exits(place.night(24, "--canary", "off", "--workers", "2", "--slice", "4", lanes="random,forward,session,modes"), 4,
          "RED: blind: there was no canary (exit 4)")
    for lane in ("random", "forward", "session", "modes"):
        assert sum(line["count"]["inputs"] for line in journal(place.out, "slice") if line["lane"] == lane) > 0, lane
        assert lane == "random" or files(place.path("night/corpus/" + lane)), lane


if __name__ == "__main__":
    main()
