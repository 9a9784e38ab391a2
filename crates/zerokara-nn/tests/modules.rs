//! Modules: paths, building, errors, copies.

use std::sync::Arc;
use zerokara_core::{DType, Meta, Parameter, Tensor};
use zerokara_nn::*;

#[derive(Module, Clone)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm2d,
    conv2: Conv2d,
    norm2: BatchNorm2d,
}

impl Block {
    fn new(channels: usize) -> Self {
        Self {
            conv1: Conv2d::new(channels, 3).padding(1).bias(false),
            norm1: BatchNorm2d::new(),
            conv2: Conv2d::new(channels, 3).padding(1).bias(false),
            norm2: BatchNorm2d::new(),
        }
    }
}

impl Forward for Block {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let y = self.norm1.forward(&self.conv1.forward(x, cx), cx).relu();
        (self.norm2.forward(&self.conv2.forward(&y, cx), cx) + x).relu()
    }
}

#[derive(Module)]
struct Pairs(Linear, #[module(skip)] f64, Linear);

impl Forward for Pairs {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.2.forward(&(self.0.forward(x, cx) * self.1), cx)
    }
}

#[derive(Module)]
struct Everything<M> {
    stem: Conv2d,
    blocks: Vec<Block>,
    maybe: Option<Linear>,
    never: Option<Linear>,
    boxed: Box<dyn Forward>,
    array: [Linear; 2],
    tuple: (Linear, Pairs),
    generic: M,
    #[module(skip)]
    scale: f64,
}

impl<M: Forward> Forward for Everything<M> {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let mut y = self.stem.forward(x, cx) * self.scale;
        for block in &self.blocks {
            y = block.forward(&y, cx);
        }
        y = y.reshape([0, -1]);
        for part in self.maybe.iter().chain(&self.never).chain(&self.array) {
            y = part.forward(&y, cx);
        }
        y = self.boxed.forward(&y, cx);
        y = self.tuple.1.forward(&self.tuple.0.forward(&y, cx), cx);
        self.generic.forward(&y, cx)
    }
}

fn everything() -> Everything<Linear> {
    Everything {
        stem: Conv2d::new(2, 3).padding(1),
        blocks: vec![Block::new(2), Block::new(2)],
        maybe: Some(Linear::new(5)),
        never: None,
        boxed: Box::new(Sequential::new().linear(4).relu()),
        array: [Linear::new(3), Linear::new(3)],
        tuple: (
            Linear::new(2),
            Pairs(Linear::new(2).bias(false), 2.0, Linear::new(2)),
        ),
        generic: Linear::new(1),
        scale: 0.5,
    }
}

fn images() -> Meta {
    Meta::new([1, 1, 4, 4], DType::F32)
}

#[test]
fn paths_are_names_of_fields_and_numbers() {
    let model = everything();
    model.build(&images(), 0).unwrap();
    let paths = |list: Vec<(String, Parameter)>| -> Vec<String> {
        list.into_iter()
            .inspect(|(path, parameter)| assert_eq!(path, parameter.name()))
            .map(|(path, _)| path)
            .collect()
    };
    assert_eq!(
        paths(model.named_parameters().unwrap()),
        [
            "stem.weight",
            "stem.bias",
            "blocks.0.conv1.weight",
            "blocks.0.norm1.weight",
            "blocks.0.norm1.bias",
            "blocks.0.conv2.weight",
            "blocks.0.norm2.weight",
            "blocks.0.norm2.bias",
            "blocks.1.conv1.weight",
            "blocks.1.norm1.weight",
            "blocks.1.norm1.bias",
            "blocks.1.conv2.weight",
            "blocks.1.norm2.weight",
            "blocks.1.norm2.bias",
            "maybe.weight",
            "maybe.bias",
            "boxed.linear1.weight",
            "boxed.linear1.bias",
            "array.0.weight",
            "array.0.bias",
            "array.1.weight",
            "array.1.bias",
            "tuple.0.weight",
            "tuple.0.bias",
            "tuple.1.0.weight",
            "tuple.1.2.weight",
            "tuple.1.2.bias",
            "generic.weight",
            "generic.bias",
        ]
    );
    assert_eq!(
        paths(model.named_buffers().unwrap())[..2],
        ["blocks.0.norm1.running_mean", "blocks.0.norm1.running_var"]
    );
    // 16 blocks of 2x4x4 features go into the first fully connected layer.
    let count = 2 * 9
        + 2
        + 2 * (2 * 2 * 2 * 9 + 8)
        + (32 * 5 + 5)
        + (5 * 3 + 3)
        + (3 * 3 + 3)
        + (3 * 4 + 4)
        + (4 * 2 + 2)
        + 2 * 2
        + (2 * 2 + 2)
        + (2 + 1);
    assert_eq!(model.parameter_count().unwrap(), count);
}

#[test]
fn a_seed_and_a_path_give_the_values() {
    let values = |seed| {
        let model = everything();
        model.build(&images(), seed).unwrap();
        model.state().unwrap()
    };
    let first = values(1);
    assert_eq!(first, values(1));
    let differ = |path: &str, other: &[(String, zerokara_core::Array)]| {
        let find = |s: &[(String, zerokara_core::Array)]| {
            s.iter().find(|(p, _)| p == path).unwrap().1.clone()
        };
        find(&first) != find(other)
    };
    assert!(differ("stem.weight", &values(2)));
    // A layer's values do not depend on its neighbours.
    let alone = Sequential::new().add_named("stem", Conv2d::new(2, 3).padding(1));
    alone.build(&images(), 1).unwrap();
    assert!(!differ("stem.weight", &alone.state().unwrap()));
    // The batch of the sample does not matter.
    let model = everything();
    model.build(&Tensor::zeros([7, 1, 4, 4]), 1).unwrap();
    assert_eq!(first, model.state().unwrap());
}

#[test]
fn building_twice_keeps_the_values() {
    let model = Sequential::new().linear(3);
    let x = Tensor::ones([2, 4]);
    model.build(&x, 1).unwrap();
    let before = model.state().unwrap();
    model.build(&x, 2).unwrap();
    assert_eq!(before, model.state().unwrap());
}

#[test]
fn what_is_not_built_says_so() {
    let line = line!() + 1;
    let model = Sequential::new().relu().linear(3);
    for error in [
        model.parameters().unwrap_err(),
        model.parameter_count().unwrap_err(),
        model.state().unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "the model has not been built: linear1.weight has no value yet; call build(&sample, seed) first"
        );
    }
    let y = model.forward(&Tensor::ones([2, 4]), &mut Context::evaluate());
    let error = y.eval().unwrap_err().to_string();
    assert!(error.contains("build the model first"), "{error}");
    assert!(
        error.contains(&format!("tests/modules.rs:{line}")),
        "{error}"
    );
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    assert!(TrainStep::new(Arc::new(model), loss, Arc::new(Sgd::new(0.1))).is_err());
}

#[test]
fn an_error_names_the_layer_and_the_line() {
    let line = line!() + 1;
    let model = Sequential::new().conv2d(4, 9).relu().flatten().linear(3);
    let error = model.build(&images(), 0).unwrap_err().to_string();
    assert!(
        error.contains("a window of 9 does not fit into an input of 4"),
        "{error}"
    );
    assert!(error.contains("in layer conv1"), "{error}");
    assert!(
        error.contains(&format!("tests/modules.rs:{line}")),
        "{error}"
    );
    // It fails as a whole.
    assert!(model.parameters().is_err());

    let model = Sequential::new().conv2d(4, 3).linear(3);
    model.build(&images(), 0).unwrap();
    let rows = Tensor::ones([2, 16]);
    let error = model
        .forward(&rows, &mut Context::evaluate())
        .eval()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Conv2d: needs images [N, C, H, W], not f32[2, 16] (in layer conv1)"),
        "{error}"
    );

    let deep = Everything {
        scale: 1.0,
        blocks: vec![Block::new(2), Block::new(3)],
        ..everything()
    };
    let error = deep.build(&images(), 0).unwrap_err().to_string();
    assert!(error.contains("do not broadcast"), "{error}");
}

#[test]
fn names_that_clash_and_layers_that_are_left_out_are_errors() {
    let twice = Sequential::new()
        .add_named("head", Linear::new(3))
        .add_named("head", Linear::new(3));
    let error = twice.build(&Tensor::ones([2, 3]), 0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("two parameters have the name head.weight")
    );

    #[derive(Module)]
    struct Idle {
        used: Linear,
        unused: Linear,
    }
    impl Forward for Idle {
        fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
            self.used.forward(x, cx)
        }
    }
    let idle = Idle {
        used: Linear::new(3),
        unused: Linear::new(3),
    };
    let error = idle.build(&Tensor::ones([2, 3]), 0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unused.weight is part of the model")
    );
    assert!(idle.parameters().is_err());
}

#[test]
fn a_cell_is_updated_once_in_a_step() {
    #[derive(Module)]
    struct Twice {
        norm: BatchNorm1d,
    }
    impl Forward for Twice {
        fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
            self.norm.forward(&self.norm.forward(x, cx), cx)
        }
    }
    let model = Twice {
        norm: BatchNorm1d::new(),
    };
    let error = model.build(&Tensor::ones([2, 3]), 0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("norm.running_mean was updated twice in one step")
    );
}

#[test]
fn a_copy_has_its_own_parameters_and_a_tie_does_not() {
    let model = Sequential::new().linear(2);
    let x = Tensor::ones([1, 2]);
    model.build(&x, 0).unwrap();
    let copy = model.clone();
    assert_eq!(copy.state().unwrap(), model.state().unwrap());
    let weight = &copy.parameters().unwrap()[0];
    weight.set(&Tensor::zeros([2, 2])).unwrap();
    assert_ne!(copy.state().unwrap(), model.state().unwrap());

    #[derive(Module)]
    struct Tied {
        into: Linear,
        out: Linear,
    }
    impl Forward for Tied {
        fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
            self.out.forward(&self.into.forward(x, cx), cx)
        }
    }
    let into = Linear::new(2).bias(false);
    let out = Linear::new(2).bias(false).tied(into.weight_slot());
    let tied = Tied { into, out };
    tied.build(&x, 0).unwrap();
    let parameters = tied.named_parameters().unwrap();
    assert_eq!(parameters.len(), 1);
    assert_eq!(parameters[0].0, "into.weight");
}

#[test]
fn a_snapshot_is_loaded_whole_or_not_at_all() {
    let model = Sequential::new().linear(2).linear(3);
    model.build(&Tensor::ones([1, 2]), 0).unwrap();
    let good = model.state().unwrap();
    let other = Sequential::new().linear(2).linear(3);
    other.build(&Tensor::ones([1, 2]), 1).unwrap();
    let before = other.state().unwrap();
    assert_ne!(good, before);

    let mut short = good.clone();
    short.pop();
    let error = other.load_state(&short).unwrap_err().to_string();
    assert_eq!(error, "there is no value for linear2.bias");
    let mut long = good.clone();
    long.push(("what".into(), good[0].1.clone()));
    let error = other.load_state(&long).unwrap_err().to_string();
    assert_eq!(error, "the model has no parameter what");
    let mut wrong = good.clone();
    wrong[3].1 = wrong[1].1.clone();
    let error = other.load_state(&wrong).unwrap_err().to_string();
    assert!(
        error.contains("linear2.bias is f32[3] and cannot take a value of f32[2]"),
        "{error}"
    );
    assert_eq!(other.state().unwrap(), before);

    other.load_state(&good).unwrap();
    assert_eq!(other.state().unwrap(), good);
}
