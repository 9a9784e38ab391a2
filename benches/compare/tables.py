#!/usr/bin/env python3
"""How well `zerokara train` does on small tables with nothing changed, beside scikit-learn's networks tuned by a grid search.

    python benches/compare/tables.py [--program target/release/zerokara] [--peer] [--set FIELD=VALUE]

Digits, wine, breast cancer (accuracy) and diabetes (R²), five shuffled folds each, stratified where there are classes; mean and standard
error over the folds. With --peer, MLPClassifier and MLPRegressor are tuned by a grid search of three folds inside each training
part. Needs scikit-learn; the folds are written into a temporary folder.
"""

import argparse
import csv
import re
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

GRID = {
    "hidden_layer_sizes": [(50,), (100,), (64, 64)],
    "alpha": [1e-4, 1e-2, 1.0, 10.0],
    "learning_rate_init": [1e-3, 1e-2],
}
SETS = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}


def write(path, names, inputs, targets):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*names, "target"])
        rows.writerows([*row, target] for row, target in zip(inputs, targets))


def ours(program, folder, settings):
    command = [program, "train", str(folder), "--quiet", "--output", str(folder / "run")]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(re.search(r"(?:accuracy|r2) (-?[\d.]+)", done.stdout)[1])


def theirs(is_classes, train, test):
    if is_classes:
        network, prefix = MLPClassifier(max_iter=500, random_state=1), "network__"
    else:
        regressor = MLPRegressor(max_iter=500, random_state=1)
        network, prefix = TransformedTargetRegressor(regressor, transformer=StandardScaler()), "network__regressor__"
    pipeline = Pipeline([("scale", StandardScaler()), ("network", network)])
    grid = {prefix + name: values for name, values in GRID.items()}
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=-1).fit(*train).score(*test)


def told(values):
    if not values:
        return "-"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/zerokara")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{'':14}  {'Zerokara':16}  scikit-learn")
    for name, load in SETS.items():
        data = load()
        is_classes = name != "diabetes"
        targets = data.target_names[data.target].astype(str) if is_classes else data.target
        names = [str(column) for column in data.feature_names]
        kind = StratifiedKFold if is_classes else KFold
        own, peer = [], []
        for train, test in kind(5, shuffle=True, random_state=1).split(data.data, targets):
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                write(folder / "train.csv", names, data.data[train], targets[train])
                write(folder / "test.csv", names, data.data[test], targets[test])
                own.append(ours(arguments.program, folder, arguments.settings))
            if arguments.peer:
                parts = [(data.data[part], targets[part]) for part in (train, test)]
                peer.append(theirs(is_classes, *parts))
        print(f"{name:14}  {told(own):16}  {told(peer)}", flush=True)


if __name__ == "__main__":
    main()
