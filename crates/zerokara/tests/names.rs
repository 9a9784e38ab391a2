//! The book's names lead to ours: whoever looks one up in the documentation finds what it is called here.

use std::{fs, path::Path};

/// A name of the book (or of NumPy, as the book uses it), and the file of what it is here.
const NAMES: &[(&str, &str)] = &[
    ("Affine", "zerokara-nn/src/layers/linear.rs"),
    ("Convolution", "zerokara-nn/src/layers/conv2d.rs"),
    ("Pooling", "zerokara-nn/src/layers/pool.rs"),
    ("BatchNormalization", "zerokara-nn/src/layers/norm.rs"),
    ("Relu", "zerokara-nn/src/layers/activate.rs"),
    ("Sigmoid", "zerokara-nn/src/layers/activate.rs"),
    ("OrderedDict", "zerokara-nn/src/layers/sequential.rs"),
    ("SoftmaxWithLoss", "zerokara-nn/src/losses/cross_entropy.rs"),
    (
        "cross_entropy_error",
        "zerokara-nn/src/losses/cross_entropy.rs",
    ),
    ("sum_squared_error", "zerokara-nn/src/losses/regression.rs"),
    ("SGD", "zerokara-nn/src/optimizers/sgd.rs"),
    ("gradient_descent", "zerokara-nn/src/optimizers/sgd.rs"),
    ("RMSprop", "zerokara-nn/src/optimizers/adaptive.rs"),
    ("weight_init_std", "zerokara-nn/src/initializers.rs"),
    ("Xavier", "zerokara-nn/src/initializers.rs"),
    ("weight_decay_lambda", "zerokara-nn/src/train_step/mod.rs"),
    ("MultiLayerNetExtend", "zerokara-nn/src/models/mod.rs"),
    ("predict", "zerokara-nn/src/module.rs"),
    ("AddLayer", "zerokara-core/src/tensor.rs"),
    ("MulLayer", "zerokara-core/src/tensor.rs"),
    ("dot", "zerokara-core/src/ops/matmul.rs"),
    ("T", "zerokara-core/src/ops/permute.rs"),
    (
        "cross_entropy_error",
        "zerokara-core/src/ops/cross_entropy.rs",
    ),
    (
        "sum_squared_error",
        "zerokara-core/src/ops/cross_entropy.rs",
    ),
    ("step_function", "zerokara-core/src/ops/piecewise.rs"),
    ("numerical_diff", "zerokara-core/src/gradient_check.rs"),
    ("gradient", "zerokara-core/src/grad.rs"),
    ("backward", "zerokara-core/src/grad.rs"),
    ("mask", "zerokara-core/src/ops/mask.rs"),
    ("Convolution", "zerokara-core/src/ops/conv2d.rs"),
    ("Pooling", "zerokara-core/src/ops/max_pool2d.rs"),
    ("change_one_hot_label", "zerokara-core/src/ops/one_hot.rs"),
    ("load_mnist", "zerokara-data/src/dataset.rs"),
    ("mini_batch", "zerokara-data/src/loader.rs"),
    ("shuffle_dataset", "zerokara-data/src/parts.rs"),
    ("save_params", "zerokara-train/src/model/file.rs"),
    ("load_params", "zerokara-train/src/model/file.rs"),
];

#[test]
fn the_books_names_are_aliases() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, file) in NAMES {
        let source = fs::read_to_string(crates.join(file)).expect("a source file");
        let aliases = source.lines().filter(|line| line.contains("#[doc(alias"));
        let quoted = format!("\"{name}\"");
        assert!(
            aliases.into_iter().any(|line| line.contains(&quoted)),
            "{name} is no alias in {file}"
        );
    }
}
