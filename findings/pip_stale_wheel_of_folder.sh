#!/bin/sh
# pip 26.1.2 installs yesterday's code from a folder: `pip install 'NAME @ file:///FOLDER'` keeps the wheel that it builds, if the folder's
# name has a dash in it, and installs that wheel again after the folder's files have changed, with nothing but "Using cached".
# `pip install /FOLDER` builds anew, and so does a folder without a dash. pip 23.2.1, which Python 3.11.7 brings, does the same; pip 26.3
# builds anew in all cases (pypa/pip, issues 13093 and 14044).
#
# Seen with Python 3.11.7, setuptools 80.9.0, Linux x86-64; what is installed after the file was changed from 1 to 2:
#
#     26.1.2, name @ file:///my-package: 1
#     26.1.2, name @ file:///mypackage: 2
#     26.1.2, /my-package: 2
#     26.3, name @ file:///my-package: 2
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
python="$work/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check setuptools==80.9.0 wheel==0.45.1

package() { # FOLDER NUMBER
    mkdir -p "$1"
    echo "NUMBER = $2" > "$1/thing.py"
    printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n' > "$1/pyproject.toml"
    printf '[project]\nname = "thing"\nversion = "1"\n[tool.setuptools]\npy-modules = ["thing"]\n' >> "$1/pyproject.toml"
}

failed=0
seen() { # VERSION FOLDER REQUIREMENT EXPECTED
    "$python" -m pip install --quiet --disable-pip-version-check "pip==$1"
    rm -rf "$work/cache" "$work/$2"
    for number in 1 2; do
        package "$work/$2" "$number"
        rm -rf "$work/$2/build"
        "$python" -m pip --cache-dir "$work/cache" install --quiet --disable-pip-version-check --no-build-isolation \
            --force-reinstall --no-deps "$3"
    done
    found=$("$python" -c 'import thing; print(thing.NUMBER)')
    echo "$1, $3: $found" | sed "s|$work||"
    [ "$found" = "$4" ] || failed=1
}

seen 26.1.2 my-package "thing @ file://$work/my-package" 1
seen 26.1.2 mypackage "thing @ file://$work/mypackage" 2
seen 26.1.2 my-package "$work/my-package" 2
seen 26.3 my-package "thing @ file://$work/my-package" 2
exit "$failed"
