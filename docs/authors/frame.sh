# What the scripts have in common that compare a reward with its authors' package: `.` reads it first.
#
# ROOT is this repository, PYTHON its own (make install), and the current folder WORK, where an environment of the
# authors' package stays for another time.
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
WORK=${WORK:-$(mktemp -d)}
mkdir -p "$WORK"
cd "$WORK"
export OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONPATH="$ROOT/docs/authors"

environment() { # 'REQUIREMENTS' 'REQUIREMENTS': the second ones without what they require, which would bring a torch for GPUs
    [ -e theirs/ready ] && return
    python3 -m venv theirs
    theirs/bin/pip install --quiet $1
    theirs/bin/pip install --quiet --no-deps $2
    touch theirs/ready
}

compare() { # prepare.py by ours, theirs.py by theirs, ours.py by ours, whose exit status counts
    "$PYTHON" prepare.py
    theirs/bin/python theirs.py 2>theirs.log || { cat theirs.log; exit 1; }
    "$PYTHON" ours.py
}
