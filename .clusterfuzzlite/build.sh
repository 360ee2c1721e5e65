#!/bin/bash -eu
# Builds every target of fuzz/ for the CPU into $OUT, with its seeds, dictionary and options, as ClusterFuzzLite wants them.
# The base image sets CC, CXX, CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE, SRC, OUT and WORK; tests/fuzz/clusterfuzzlite does so
# without Docker.

source=$SRC/oracle-diff
build=$WORK/oracle-diff
targets=()
for file in "$source"/fuzz/fuzz_*.c; do
    targets+=("$(basename "$file" .c)")
done

# The sanitizer's flags come from CFLAGS, the engine's from LIB_FUZZING_ENGINE. Libraries travel in $OUT/lib: the image that
# runs the targets has no OpenBLAS. RPATH and not RUNPATH, which would not count for what a library itself needs.
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DOD_CUDA=OFF -DOD_FUZZ_ENGINE=ON \
    -DOD_FUZZ_LINK="$LIB_FUZZING_ENGINE" -DCMAKE_BUILD_RPATH='$ORIGIN/lib' \
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags
cmake --build "$build" --target "${targets[@]}"

mkdir -p "$OUT/lib"
for target in "${targets[@]}"; do
    name=${target#fuzz_}
    cp "$build/bin/$target" "$OUT/"
    ldd "$build/bin/$target" | awk '$3 ~ /^\// { print $3 }' |
        grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv)\.so' | xargs -r -I {} cp -Lu {} "$OUT/lib/"
    case $name in # the targets of cases share seeds and options
    model | case | series) seeds=$name options=$name ;;
    *) seeds=$name options=forward ;;
    esac
    [ -d "$source/corpus/$seeds" ] || seeds=forward
    rm -f "$OUT/${target}_seed_corpus.zip"
    zip -q -j -r "$OUT/${target}_seed_corpus.zip" "$source/corpus/$seeds"
    cp "$source/fuzz/$options.options" "$OUT/$target.options"
    if [ -f "$source/fuzz/$name.dict" ]; then
        cp "$source/fuzz/$name.dict" "$OUT/$target.dict"
    fi
done
