#!/usr/bin/env bash
# Makes or updates the project's environment in .venv.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/setup_environment.sh [flags]

Makes .venv in the project's root: Python packages with pinned versions, Horovod built for MXNet
(Gloo; NCCL with --gpu and nvcc), and the project itself as an editable installation. The script can be run
again at any time: it ends at once if nothing has changed, and it repairs an interrupted set-up.
Later calls keep the choices of earlier calls unless flags change them.

  --with-horovod      build Horovod, for several processes (default)
  --without-horovod   leave Horovod out; commands then run in one process
  --gpu NAME          cu112 for NVIDIA GPUs, with CUDA's libraries from the package index; cu101 needs
                      an installed CUDA 10.1; none for CPU (default). Both need the NVIDIA driver and
                      were not tested on a GPU. Without nvcc, Horovod's ranks exchange over the host.
  --extras A,B        also install requirements-A.txt and requirements-B.txt: openvino, parity, test
  --without-extras A,B
                      drop these extras; packages that are installed stay
  --python PATH       Python interpreter (default: $PYTHON, then the first usable version of
                      3.11, 3.10, 3.9, 3.8, 3.12, including those of pyenv)
  --help              show this help

Built wheels are kept in ${XDG_CACHE_HOME:-~/.cache}/bort/wheels for the next set-up.
Exit status: 0 ready, 1 the work failed, 2 bad usage or a requirement is missing on this machine.
USAGE
}

say() { printf '[set-up] %s\n' "$*"; }
bad_input() { printf 'error: %s\n' "$*" >&2; exit 2; }
failed() {
    local unreached='NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError' last=''
    [ ! -s "${log:-}" ] || last=$(tail -n 20 "$log")
    if grep -qE "$unreached" <<<"$last"; then
        printf 'error: %s: the package index cannot be reached, is there a network? (all of it: %s); %s\n' \
            "$*" "$log" "call the set-up again to repair" >&2
    elif [ -n "$last" ]; then
        printf '%s\n' "$last" >&2
        printf 'error: %s (all of it: %s); call the set-up again to repair\n' "$*" "$log" >&2
    else
        printf 'error: %s\n' "$*" >&2
    fi
    exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
venv_python=$venv/bin/python
choices=$venv/bort-choices    # the choices of the user, written first
stamp=$venv/bort-complete     # hash of the complete installation, written last
log=

# ---- flags -------------------------------------------------------------------------------------

asked_gpu='' asked_horovod='' asked_extras='' dropped_extras='' asked_python=''
while [ $# -gt 0 ]; do
    case $1 in
        --gpu | --extras | --without-extras | --python)
            [ $# -ge 2 ] && [ -n "$2" ] || bad_input "$1 needs a value (--help lists the flags)"
            case $1 in
                --gpu) asked_gpu=$2 ;;
                --extras) asked_extras=$2 ;;
                --without-extras) dropped_extras=$2 ;;
                --python) asked_python=$2 ;;
            esac
            shift
            ;;
        --with-horovod) asked_horovod=yes ;;
        --without-horovod) asked_horovod=no ;;
        --help | -h) usage; exit 0 ;;
        *) bad_input "unknown flag $1 (--help lists the flags)" ;;
    esac
    shift
done
case $asked_gpu in
    '' | none | cu101 | cu112) ;;
    *) bad_input "--gpu is $asked_gpu, allowed are none, cu101, cu112" ;;
esac
for extra in ${asked_extras//,/ } ${dropped_extras//,/ }; do
    case $extra in
        base | cu* | *[!a-z0-9_-]*) bad_input "--extras: $extra is not an extra" ;;
    esac
    [ -f "$root/requirements-$extra.txt" ] ||
        bad_input "--extras: $extra is unknown, there is no requirements-$extra.txt"
done

# ---- one set-up at a time ----------------------------------------------------------------------

if command -v flock >/dev/null; then
    exec 9>"$root/.setup.lock" || bad_input "$root cannot be written"
    if ! flock -n 9; then
        say "another set-up works in this folder; waiting for it"
        flock 9
    fi
fi

# ---- the wanted and the existing environment ---------------------------------------------------

earlier() { # print the value of a key in the choices of earlier calls
    [ -f "$choices" ] && sed -n "s/^$1=//p" "$choices" | head -n 1
    return 0
}
if [ -e "$venv" ] && [ ! -f "$choices" ]; then
    bad_input "$venv exists and was not made by this script; move it away"
fi
gpu=${asked_gpu:-$(earlier gpu)}
gpu=${gpu:-none}
horovod=${asked_horovod:-$(earlier horovod)}
horovod=${horovod:-yes}
extras=''
for extra in $(printf '%s\n' ${asked_extras//,/ } $(earlier extras) | sort -u); do
    case ",$dropped_extras," in *",$extra,"*) ;; *) extras+="${extras:+ }$extra" ;; esac
done
flavour=requirements.txt
[ "$gpu" = none ] || flavour=requirements-$gpu.txt
requirement_files=(requirements-base.txt "$flavour")
for extra in $extras; do requirement_files+=("requirements-$extra.txt"); done

wanted_hash() {
    {
        printf '%s\n' "$root" "$gpu" "$horovod" "$extras"
        for file in "${requirement_files[@]}" pyproject.toml scripts/setup_environment.sh; do
            printf '%s\n' "$file"
            cat "$root/$file"
        done
    } | sha256sum | cut -d ' ' -f 1
}
wanted=$(wanted_hash)

# Prints "yes<TAB>version<TAB>executable<TAB>tag<TAB>include folder<TAB>compiler" or "no<TAB>why".
probe='
import sys
def answer(*parts):
    sys.stdout.write("\t".join(parts) + "\n")
    sys.exit(0)
found = ".".join(map(str, sys.version_info[:3]))
if not (3, 8) <= sys.version_info[:2] <= (3, 12):
    answer("no", "is Python " + found + ", supported are 3.8 to 3.12")
import platform, struct
if sys.implementation.name != "cpython":
    answer("no", "is not CPython")
libc = "".join(platform.libc_ver())
if sys.platform != "linux" or not libc.startswith("glibc") or struct.calcsize("P") != 8 \
        or platform.machine() not in ("x86_64", "aarch64"):
    answer("no", "is not for Linux (glibc) on x86_64 or aarch64, where MXNet has packages")
for module in ("ssl", "ctypes", "zlib", "venv", "ensurepip"):
    try:
        __import__(module)
    except ImportError:
        answer("no", "lacks the module " + module + " (Debian: python%d.%d-venv)" % sys.version_info[:2])
import sysconfig
answer("yes", found, getattr(sys, "_base_executable", None) or sys.executable,
       (sysconfig.get_config_var("SOABI") or "none") + "-" + libc,
       sysconfig.get_paths()["include"], (sysconfig.get_config_var("CC") or "cc").split()[0])
'
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_NO_BINARY PIP_ONLY_BINARY
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_REQUIRE_VIRTUALENV=0
export PYTHONNOUSERSITE=1

why_not=''
try_python() { # set python_* if the interpreter works, else set why_not
    local path answer
    path=$(command -v -- "$1" 2>/dev/null) || { why_not="does not exist"; return 1; }
    answer=$("$path" -c "$probe" 2>/dev/null </dev/null | tail -n 1) || answer=''
    case $answer in
        yes*) ;;
        no*) why_not=${answer#no?}; return 1 ;;
        *) why_not="does not run"; return 1 ;;
    esac
    IFS=$'\t' read -r _ python_version python_path python_tag python_include python_cc <<<"$answer"
}
choose_python() {
    local candidate tried='' candidates=()
    if [ -n "$asked_python" ]; then
        try_python "$asked_python" || bad_input "--python $asked_python $why_not"
        return
    fi
    local pyenv=${PYENV_ROOT:-${HOME:-/root}/.pyenv}/versions version
    [ -n "${PYTHON:-}" ] && candidates+=("$PYTHON")
    candidates+=(python3.11 python3.10 python3.9 python3.8)
    for version in 3.11 3.10 3.9 3.8; do
        candidates+=("$pyenv/$version".*/bin/python"$version")
    done
    candidates+=(python3.12 python3 "$pyenv"/3.12.*/bin/python3.12)
    for candidate in "${candidates[@]}"; do
        if try_python "$candidate"; then return; fi
        [ "$candidate" != "${PYTHON:-}" ] || say "\$PYTHON ($candidate) $why_not; trying others"
        [ "$why_not" = "does not exist" ] || tried+="; $candidate $why_not"
    done
    bad_input "no usable Python 3.8 to 3.12 (Debian: sudo apt-get install python3 python3-venv;" \
        "Fedora: sudo dnf install python3.11)${tried}"
}

modules='pip numpy mxnet gluonnlp bort'
[ "$horovod" = no ] || modules+=' horovod'
present='import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))'
# shellcheck disable=SC2086
if [ -z "$asked_python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
    (cd / && "$venv_python" -c "$present" $modules 2>/dev/null); then
    say "ready: $venv (nothing to do)"
    exit 0
fi

# Keep the environment if its interpreter, its location and its MXNet build are still right.
fresh=yes
if [ -f "$stamp" ] && [ "$(earlier root)" = "$root" ] && [ "$(earlier gpu)" = "$gpu" ] &&
    { [ "$horovod" = yes ] || [ "$(earlier horovod)" = no ]; } && try_python "$venv_python"; then
    fresh=no
    if [ -n "$asked_python" ]; then
        kept=$python_path
        choose_python
        [ "$kept" -ef "$python_path" ] || fresh=yes
        if [ $fresh = no ] && [ "$(cat "$stamp")" = "$wanted" ] &&
            (cd / && "$venv_python" -c "$present" $modules 2>/dev/null); then
            say "ready: $venv (nothing to do)"
            exit 0
        fi
    fi
fi
if [ $fresh = yes ]; then
    [ -n "$asked_python" ] || asked_python=$(earlier asked_python)
    choose_python
fi
case $python_tag in
    *aarch64*)
        [ "$gpu" = none ] || bad_input "--gpu is $gpu, allowed on aarch64 is none: MXNet's builds for GPUs are for x86_64"
        say "note: this set-up was tested on x86_64 only"
        ;;
esac
if [ "$gpu" != none ]; then
    "$python_path" -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null ||
        bad_input "--gpu is $gpu, which needs libcuda.so.1 of the NVIDIA driver, and it cannot be loaded;" \
            "install the driver, or use --gpu none"
fi

# ---- wheels that are built from source ---------------------------------------------------------

pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$root/requirements-base.txt" "$root/$flavour" | head -n 1; }
mxnet_name=mxnet
[ "$gpu" = none ] || mxnet_name=mxnet-$gpu
mxnet_version=$(pinned "$mxnet_name")
# Horovod for arrays on GPUs is compiled by the nvcc of MXNet's CUDA. Without it, Horovod is built against
# MXNet's build for CPUs, and bort/gluon/distributed.py gives it arrays of the host only.
nvcc='' why_no_nccl=''
without_nccl() { # build Horovod without NCCL; the argument says why
    nvcc='' why_no_nccl=$1
    horovod_mxnet=$(grep -m 1 '^mxnet==' "$root/requirements.txt")
}
horovod_mxnet=$mxnet_name==$mxnet_version
if [ "$gpu" != none ]; then
    cuda=${gpu#cu} && cuda=${cuda%?}
    if ! nvcc=$(command -v nvcc || command -v "${HOROVOD_CUDA_HOME:-/usr/local/cuda}/bin/nvcc"); then
        without_nccl "nvcc is not installed"
    else
        case $("$nvcc" --version 2>/dev/null) in
            *"release $cuda."*) ;;
            *) without_nccl "$nvcc is not of CUDA $cuda" ;;
        esac
    fi
fi
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bort/wheels
folder_of() { # print the cache folder of a package's wheel; gluonnlp is independent of MXNet's build
    case $1 in
        horovod) echo "$cache/horovod-$(pinned horovod)-$python_tag-${horovod_mxnet/==/-}" ;;
        *) echo "$cache/$1-$(pinned "$1")-$python_tag" ;;
    esac
}
cached_wheel() { # print the path of an intact cached wheel
    local folder wheel
    folder=$(folder_of "$1")
    wheel=$(cd "$folder" 2>/dev/null && ls -- *.whl 2>/dev/null | head -n 1) || return 1
    (cd "$folder" && sha256sum --status -c "$wheel.sha256" 2>/dev/null) || return 1
    echo "$folder/$wheel"
}
built=(gluonnlp)
[ "$horovod" = no ] || built+=(horovod)
to_build=()
for package in "${built[@]}"; do
    cached_wheel "$package" >/dev/null && continue
    if [ $fresh = no ] && "$venv_python" -c "$present" "$package" 2>/dev/null; then continue; fi
    to_build+=("$package")
done

check_build_tools() { # name all missing build tools in one line, before anything is installed
    local missing=() debian=() fedora=() horovod_too=no
    case " ${to_build[*]} " in *' horovod '*) horovod_too=yes ;; esac
    if ! command -v "${CC:-$python_cc}" >/dev/null; then
        local compiler
        for compiler in gcc cc clang ''; do
            if [ -n "$compiler" ] && command -v $compiler >/dev/null; then break; fi
        done
        if [ -n "$compiler" ]; then
            export CC=$compiler
        else
            missing+=("a C compiler") debian+=(build-essential) fedora+=(gcc)
        fi
    fi
    if [ $horovod_too = yes ]; then
        if ! command -v "${CXX:-g++}" >/dev/null && ! command -v c++ >/dev/null; then
            missing+=("a C++ compiler") debian+=(build-essential) fedora+=(gcc-c++)
        fi
        command -v make >/dev/null || { missing+=(make); debian+=(build-essential); fedora+=(make); }
        command -v cmake >/dev/null || { missing+=(cmake); debian+=(cmake); fedora+=(cmake); }
    fi
    if [ ! -f "$python_include/Python.h" ]; then
        missing+=("Python.h of $python_path")
        debian+=("python${python_version%.*}-dev") fedora+=(python3-devel)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    local list packages
    list=$(printf ', %s' "${missing[@]}")
    packages=$(printf '%s\n' "${debian[@]}" | sort -u | tr '\n' ' ')
    bad_input "missing for building ${to_build[*]}: ${list:2};" \
        "Debian: sudo apt-get install ${packages% }; Fedora: sudo dnf install ${fedora[*]}"
}
[ ${#to_build[@]} -eq 0 ] || check_build_tools

# ---- installation ------------------------------------------------------------------------------

plain() { case $1 in *[!A-Za-z0-9._/+-]*) return 1 ;; esac; } # is this path safe in a makefile?
temporary=${TMPDIR:-/tmp}
plain "$temporary" || temporary=/tmp
scratch=$(mktemp -d "$temporary/bort-setup.XXXXXX")
export TMPDIR=$scratch
trap 'rm -rf -- "$scratch"' EXIT
trap 'echo "error: interrupted; call the set-up again to repair" >&2; exit 130' INT TERM HUP

started_at=$SECONDS
say "Python $python_version ($python_path), $mxnet_name $mxnet_version, Horovod: $horovod, extras: ${extras:-none}"

write_choices() {
    mkdir -p "$venv"
    printf '%s\n' "root=$root" "gpu=$gpu" "horovod=$horovod" "extras=$extras" \
        "asked_python=$asked_python" >"$choices.new"
    mv -f "$choices.new" "$choices"
}

quietly() { # run a command with its output in the log
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null
}
pip() { quietly "$venv_python" -m pip "$@"; }

link_cuda_libraries() { # next to libmxnet.so, whose rpath is its own folder
    # bort.gluon loads them itself; the links serve an `import mxnet` without it, as in Horovod's build.
    local packages file
    packages=$(echo "$venv"/lib/python*/site-packages)
    for file in "$packages"/nvidia/*/lib/lib[cn]*.so*; do
        ln -sfn -- "..${file#"$packages"}" "$packages/mxnet/${file##*/}" || return 1
    done
}

nccl_for_building() { # add NCCL's package to the build, which looks for libnccl.so without a number
    local package
    package=$(echo "$venv"/lib/python*/site-packages/nvidia/nccl)
    [ -z "${HOROVOD_NCCL_HOME:-}" ] && [ -f "$package/lib/libnccl.so.2" ] || return 0
    mkdir -p "$scratch/nccl/lib"
    ln -sfn -- "$package/include" "$scratch/nccl/include"
    ln -sfn -- "$package/lib/libnccl.so.2" "$scratch/nccl/lib/libnccl.so"
    variables+=("HOROVOD_NCCL_HOME=$scratch/nccl")
}

build_wheel() { # build a source package and keep its wheel
    # pip's cache is not used, since it may hold a wheel of Horovod that was built without MXNet.
    local package=$1 version folder wheel
    version=$(pinned "$package")
    folder=$(folder_of "$package")
    rm -rf -- "$scratch/wheel" && mkdir "$scratch/wheel"
    local variables=()
    if [ "$package" = gluonnlp ]; then
        # The C file in the package is too old for Python 3.11, so Cython must generate it again.
        printf '[build_ext]\nforce=1\n' >"$scratch/force.cfg"
        variables=("DIST_EXTRA_CONFIG=$scratch/force.cfg")
    else
        # CMAKE_POLICY_VERSION_MINIMUM lets CMake 4 read Horovod's old build files.
        variables=(HOROVOD_WITH_MXNET=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1
            HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1
            CMAKE_POLICY_VERSION_MINIMUM=3.5)
        if [ -n "$nvcc" ]; then
            variables+=(HOROVOD_GPU_OPERATIONS=NCCL)
            nccl_for_building
        elif [ "$gpu" != none ]; then
            pip install --no-deps --target "$scratch/mxnet" "$horovod_mxnet" ||
                failed "$horovod_mxnet, for building Horovod, could not be installed"
            variables+=("PYTHONPATH=$scratch/mxnet")
        fi
    fi
    # Horovod's makefiles do not quote paths, so a path with a space needs a link without one.
    local place=$venv
    if ! plain "$venv"; then
        place=$scratch/venv
        ln -sfn -- "$venv" "$place"
    fi
    PATH=$place/bin:$PATH quietly env "${variables[@]}" "$place/bin/python" -m pip wheel --no-deps \
        --no-build-isolation --no-cache-dir -w "$scratch/wheel" "$package==$version" || {
        [ "$package" = horovod ] && [ -n "$nvcc" ] || failed "$package $version could not be built"
        without_nccl "the build with $nvcc failed (see $log)"
        say "horovod: $why_no_nccl; building it without NCCL"
        build_wheel horovod
        return
    }
    wheel=$(cd "$scratch/wheel" && ls -- *.whl)
    # A wheel without a checksum is ignored, so the checksum is written after the wheel is in place.
    if mkdir -p "$folder" 2>/dev/null && cp "$scratch/wheel/$wheel" "$folder/$wheel.$$" 2>/dev/null &&
        mv -f "$folder/$wheel.$$" "$folder/$wheel" &&
        (cd "$folder" && sha256sum "$wheel" >"$wheel.$$" && mv -f "$wheel.$$" "$wheel.sha256"); then
        return
    fi
    say "note: $folder cannot be written; the wheel of $package is not kept"
}
install_built() { # install a wheel from the cache, or build it
    local package=$1 wheel start=$SECONDS
    if wheel=$(cached_wheel "$package"); then
        say "$package: installing the cached wheel"
    else
        [ ! -e "$(folder_of "$package")" ] || rm -rf -- "$(folder_of "$package")"
        say "$package: building$([ "$package" != horovod ] || echo ' (a minute or two)')"
        build_wheel "$package"
        wheel=$(ls -- "$scratch"/wheel/*.whl)
        say "$package: built in $((SECONDS - start)) s"
    fi
    pip install --no-deps --no-index --force-reinstall "$wheel" || failed "$package could not be installed"
}

imports() { (cd / && quietly "$venv_python" -c "$1"); }
works() { # does the package work after it was built from source?
    case $1 in
        gluonnlp) imports 'import mxnet, gluonnlp' ;;
        horovod) imports 'import horovod.mxnet as h; h.init(); assert h.gloo_built() and h.size() == 1' ;;
    esac
}

installed_version() {
    (cd / && "$venv_python" -c 'import sys; from importlib.metadata import version
print(version(sys.argv[1]))' "$1" 2>/dev/null) || return 0
}

install_everything() {
    write_choices
    rm -f -- "$stamp"
    log=$venv/bort-setup.log
    : >"$log"
    if [ ! -x "$venv_python" ]; then
        say "making $venv"
        quietly "$python_path" -m venv "$venv" || failed "the virtual environment could not be made"
        pip install "pip==25.0.1" || failed "pip could not be installed"
    fi
    # Lines with -r are not needed, since all files are read; packages from source come afterwards.
    (cd "$root" && cat -- "${requirement_files[@]}") |
        grep -v -e '^-r ' -e '^gluonnlp==' -e '^horovod==' >"$scratch/requirements.txt"
    install_pytorch
    say "installing the pinned packages$([ "$gpu" != cu112 ] || echo ' (with 1.8 GB of CUDA libraries)')"
    pip install -r "$scratch/requirements.txt" || failed "the packages could not be installed"
    if [ "$gpu" = cu112 ]; then
        link_cuda_libraries || failed "the CUDA libraries could not be linked"
    fi
    if [ "${python_version%.*}" = 3.12 ]; then restore_numpy_bool; fi
    local package
    for package in "${built[@]}"; do
        if [ $fresh = no ] && [ "$(installed_version "$package")" = "$(pinned "$package")" ] &&
            works "$package"; then
            continue
        fi
        install_built "$package"
        if ! works "$package"; then
            say "$package: the cached wheel does not work; building it again"
            rm -rf -- "$(folder_of "$package")"
            install_built "$package"
            works "$package" || failed "$package does not work after it was built"
        fi
    done
    [ -z "$why_no_nccl" ] || [ "$horovod" = no ] ||
        say "note: ranks on GPUs will exchange over the host, without NCCL: $why_no_nccl"
    say "installing the project (editable)"
    pip install --no-deps --no-build-isolation --no-index -e "$root" ||
        failed "the project could not be installed"
    # The editable installation covers bort only; this file adds data and experiments.
    quietly "$venv_python" -c 'import os, sys, sysconfig
with open(os.path.join(sysconfig.get_paths()["purelib"], "bort_project_root.pth"), "wb") as stream:
    stream.write(os.fsencode(sys.argv[1]) + b"\n")' "$root" || failed "the path of the project could not be written"
}

install_pytorch() { # for the extra "parity"; PyTorch's dependencies are installed with the others
    local index=https://download.pytorch.org/whl/cpu version
    case " $extras " in *' parity '*) ;; *) return 0 ;; esac
    case $python_version in 3.8.* | 3.9.*) return 0 ;; esac
    version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' "$root/requirements-parity.txt")
    case $(installed_version torch) in "$version" | "$version"+*) return 0 ;; esac
    # PyPI has only one build for Linux on x86_64, which requires gigabytes of CUDA packages.
    say "installing PyTorch $version for CPUs"
    pip install --no-deps --retries 1 --timeout 15 --index-url "$index" "torch==$version" ||
        say "note: $index does not have it; the build of the default index may need 2.7 GB of CUDA packages"
}

restore_numpy_bool() { # NumPy for Python 3.12 lacks the alias numpy.bool, which MXNet uses
    quietly "$venv_python" -c 'import os, sys, sysconfig
folder = sysconfig.get_paths()["purelib"]
with open(os.path.join(folder, "bort_numpy_bool.py"), "w") as stream:
    stream.write(sys.argv[1])
with open(os.path.join(folder, "bort_numpy_bool.pth"), "w") as stream:
    stream.write("import bort_numpy_bool\n")' '"""Restores the alias `numpy.bool` when mxnet is imported, which needs it."""
import sys


class BeforeMXNet:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "mxnet":
            sys.meta_path.remove(cls)
            import numpy

            if "bool" not in vars(numpy):
                numpy.bool = bool
        return None


sys.meta_path.insert(0, BeforeMXNet)
' || failed "the start-up hook could not be written"
}

verify() {
    pip check || return 1
    local statement='import bort.gluon, numpy, mxnet, gluonnlp, data' # bort.gluon loads CUDA
    [ "$horovod" = no ] || statement+=', horovod.mxnet'
    imports "$statement"
}

if [ $fresh = yes ] && [ -e "$venv" ]; then
    write_choices
    say "starting over: $venv is incomplete or was made for other choices"
    # The file of choices stays, since it marks the folder as made by this script.
    find "$venv" -mindepth 1 -maxdepth 1 ! -name bort-choices -exec rm -rf -- {} +
fi
install_everything
say "checking"
if ! verify; then
    if [ $fresh = yes ]; then failed "the environment was made but fails its check"; fi
    say "the environment fails its check; making it again"
    fresh=yes
    find "$venv" -mindepth 1 -maxdepth 1 ! -name bort-choices -exec rm -rf -- {} +
    install_everything
    verify || failed "the environment was made but fails its check"
fi
printf '%s\n' "$wanted" >"$stamp.new"
mv -f "$stamp.new" "$stamp"
say "ready after $((SECONDS - started_at)) s: $venv (source .venv/bin/activate)"
