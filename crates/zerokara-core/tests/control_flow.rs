//! Branches, loops and scans in records: run with values, compiled for any length, differentiated.

use zerokara_core::{
    Array, Arrays, DType, Meta, Port, Program, Result, Signature, Tensor, Tensors, gradients,
    record::*,
};

fn node(source: NodeSource) -> NodeRecord {
    NodeRecord {
        source,
        layer: None,
    }
}

fn control(control: Control) -> NodeRecord {
    node(NodeSource::Control(Box::new(control)))
}

fn result(of: usize, number: usize) -> NodeRecord {
    node(NodeSource::Result { of, number })
}

fn body<const N: usize>(nodes: [NodeSource; N], outputs: &[usize]) -> Body {
    Body {
        nodes: nodes.map(node).to_vec(),
        outputs: outputs.to_vec(),
    }
}

fn record<const N: usize>(
    inputs: &[(&str, DType, &[zerokara_core::Axis])],
    nodes: [NodeRecord; N],
    outputs: &[usize],
    constants: Vec<Array>,
) -> ModelRecord {
    let graph = GraphRecord {
        nodes: nodes.to_vec(),
        outputs: outputs.to_vec(),
        updates: vec![],
    };
    let inputs = inputs.iter().map(|(name, dtype, axes)| Port {
        name: (*name).into(),
        dtype: *dtype,
        axes: axes.to_vec(),
    });
    let names: Vec<String> = (0..outputs.len()).map(|i| format!("y{i}")).collect();
    ModelRecord {
        signature: Signature {
            inputs: inputs.collect(),
            outputs: names
                .iter()
                .map(|name| Port::new(&**name, DType::F32, [0usize; 0]))
                .collect(),
            states: vec![],
        },
        lengths: Lengths::one("length", 3),
        evaluate: graph.clone(),
        train: graph,
        parameters: vec![],
        constants,
    }
}

/// The outputs for these inputs: run with their values, and compiled for their shapes.
fn run(record: &ModelRecord, inputs: &[(&str, Array)]) -> Result<Vec<Array>> {
    record.check()?;
    let arrays: Arrays = inputs
        .iter()
        .map(|(name, x)| (name.to_string(), x.clone()))
        .collect();
    Ok(record.run(&arrays)?.values().cloned().collect())
}

fn compiled(record: &ModelRecord, inputs: &[(&str, Array)]) -> Result<Vec<Array>> {
    record.check()?;
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|(name, x)| Tensor::input(name.to_string(), x.shape(), x.dtype()))
        .collect();
    let outputs = applied(record, inputs, &leaves)?;
    let (leaves, outputs): (Vec<&Tensor>, Vec<&Tensor>) =
        (leaves.iter().collect(), outputs.iter().collect());
    let program = Program::compile(&leaves, &outputs, &[])?;
    program.run(&inputs.iter().map(|(_, x)| x.clone()).collect::<Vec<_>>())
}

fn applied(
    record: &ModelRecord,
    inputs: &[(&str, Array)],
    leaves: &[Tensor],
) -> Result<Vec<Tensor>> {
    let names = inputs.iter().map(|(name, _)| name.to_string());
    let tensors: Tensors = names.zip(leaves.iter().cloned()).collect();
    let pass = Pass {
        training: false,
        parameter: &|_| Tensor::from(0.0),
        step: &Tensor::scalar(0.0, DType::I64),
        key: None,
        is_limited: true,
        location: None,
    };
    Ok(record
        .apply(&tensors, pass)?
        .outputs
        .values()
        .cloned()
        .collect())
}

fn both(record: &ModelRecord, inputs: &[(&str, Array)]) -> Result<Vec<Array>> {
    let (run, compiled) = (run(record, inputs)?, compiled(record, inputs)?);
    assert_eq!(run.len(), compiled.len());
    for (a, b) in run.iter().zip(&compiled) {
        assert!(a.is_identical(b), "{a:?} and {b:?}");
    }
    Ok(run)
}

fn array(shape: &[usize], numbers: &[f32]) -> Array {
    Array::new(shape, numbers.to_vec())
}

fn add(a: usize, b: usize) -> NodeSource {
    NodeSource::op("add", [], [a, b])
}

/// Sums so far of rows, and the last: ONNX's own example of a scan.
fn sums(along: Along, stack: Along) -> ModelRecord {
    let scan = Control::Scan {
        states: vec![0],
        sequences: vec![(1, along)],
        stacks: vec![stack],
        body: body(
            [NodeSource::Given(0), NodeSource::Given(1), add(0, 1)],
            &[2, 2],
        ),
    };
    let axes: &[zerokara_core::Axis] = match along.axis {
        0 => &["length".into(), 2.into()],
        _ => &[2.into(), "length".into()],
    };
    record(
        &[("first", DType::F32, &[2.into()]), ("x", DType::F32, axes)],
        [
            node(NodeSource::Input("first".into())),
            node(NodeSource::Input("x".into())),
            control(scan),
            result(2, 0),
            result(2, 1),
        ],
        &[3, 4],
        vec![],
    )
}

#[test]
fn a_scan_sums_up() -> Result<()> {
    let first = array(&[2], &[0.0, 0.0]);
    let rows = array(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let forward = Along::default();
    let backward = Along {
        axis: 0,
        reverse: true,
    };
    for (along, stack, expected) in [
        (forward, forward, [1.0, 2.0, 4.0, 6.0, 9.0, 12.0]),
        (backward, forward, [5.0, 6.0, 8.0, 10.0, 9.0, 12.0]),
        (backward, backward, [9.0, 12.0, 8.0, 10.0, 5.0, 6.0]),
    ] {
        let found = both(
            &sums(along, stack),
            &[("first", first.clone()), ("x", rows.clone())],
        )?;
        assert_eq!(found[0].as_slice::<f32>()?, [9.0, 12.0]);
        assert_eq!(found[1].as_slice::<f32>()?, expected);
    }
    // Columns, to columns.
    let last = Along {
        axis: -1,
        reverse: false,
    };
    let columns = array(&[2, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    let found = both(
        &sums(last, last),
        &[("first", first.clone()), ("x", columns)],
    )?;
    assert_eq!(found[1], array(&[2, 3], &[1.0, 4.0, 9.0, 2.0, 6.0, 12.0]));
    // None at all.
    let found = both(
        &sums(forward, forward),
        &[("first", first), ("x", array(&[0, 2], &[]))],
    )?;
    assert_eq!(found, [array(&[2], &[0.0, 0.0]), array(&[0, 2], &[])]);
    Ok(())
}

/// `h = tanh(x[t] + w h)` with `w` from around the body, its gradients, and those by differences.
#[test]
fn a_scan_is_differentiated() -> Result<()> {
    let scan = Control::Scan {
        states: vec![0],
        sequences: vec![(1, Along::default())],
        stacks: vec![],
        body: body(
            [
                NodeSource::Given(0),
                NodeSource::Given(1),
                NodeSource::Outer(2),
                NodeSource::op("multiply", [], [0, 2]),
                add(1, 3),
                NodeSource::op("tanh", [], [4]),
            ],
            &[5],
        ),
    };
    let axes = [
        [2.into()].to_vec(),
        ["length".into(), 2.into()].to_vec(),
        [2.into()].to_vec(),
    ];
    let record = record(
        &[
            ("h", DType::F64, &axes[0]),
            ("x", DType::F64, &axes[1]),
            ("w", DType::F64, &axes[2]),
        ],
        [
            node(NodeSource::Input("h".into())),
            node(NodeSource::Input("x".into())),
            node(NodeSource::Input("w".into())),
            control(scan),
            result(3, 0),
        ],
        &[4],
        vec![],
    );
    let x: Vec<f64> = (0..8).map(|i| f64::from(i * 7 % 5) / 4.0 - 0.4).collect();
    let values = [
        ("h", Array::new([2], vec![0.1, -0.2])),
        ("x", Array::new([4, 2], x)),
        ("w", Array::new([2], vec![0.5, -0.7])),
    ];
    let loss = |values: &[(&str, Array)]| -> Result<f64> {
        let y = run(&record, values)?;
        Ok(y[0].to_f64s().iter().sum())
    };
    let leaves: Vec<Tensor> = values
        .iter()
        .map(|(_, x)| Tensor::from(x.clone()))
        .collect();
    let y = applied(&record, &values, &leaves)?;
    let found = gradients(&y[0].sum(), &leaves.iter().collect::<Vec<_>>());
    for (at, gradient) in found.iter().enumerate() {
        for (i, &slope) in gradient.eval()?.to_f64s().iter().enumerate() {
            let moved = |by: f64| {
                let mut values = values.clone();
                let mut numbers = values[at].1.to_f64s();
                numbers[i] += by;
                values[at].1 = Array::new(values[at].1.shape(), numbers);
                loss(&values)
            };
            let difference = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
            assert!(
                (slope - difference).abs() < 1e-8,
                "{at} {i}: {slope} {difference}"
            );
        }
    }
    Ok(())
}

/// Doubles as long as it is below `limit`, at most `trips` times; gives the number, and all that it was on the way.
fn doubling(stacks: bool, trips: Option<i64>) -> ModelRecord {
    let outputs: &[usize] = if stacks { &[5, 3, 3] } else { &[5, 3] };
    let own = body(
        [
            NodeSource::Given(0),
            NodeSource::Given(1),
            NodeSource::Given(2),
            add(2, 2),
            NodeSource::Outer(1),
            NodeSource::op("less", [], [3, 4]),
        ],
        outputs,
    );
    let constants = trips.map(|trips| Array::new([], vec![trips]));
    let trips = constants.as_ref().map(|_| 2);
    let trip_node = match trips {
        Some(_) => node(NodeSource::Constant(0)),
        None => node(NodeSource::Step),
    };
    let of_loop = Control::Loop {
        trips,
        condition: None,
        states: vec![0],
        body: own,
    };
    record(
        &[("x", DType::F32, &[]), ("limit", DType::F32, &[])],
        [
            node(NodeSource::Input("x".into())),
            node(NodeSource::Input("limit".into())),
            trip_node,
            control(of_loop),
            result(3, 0),
            result(3, usize::from(stacks)),
        ],
        &[4, 5],
        constants.into_iter().collect(),
    )
}

#[test]
fn a_loop_ends_when_its_condition_says_so() -> Result<()> {
    let given = |x: f32, limit: f32| [("x", array(&[], &[x])), ("limit", array(&[], &[limit]))];
    // Any number of trips.
    let found = run(&doubling(true, None), &given(1.0, 10.0))?;
    assert_eq!(
        found,
        [array(&[], &[16.0]), array(&[4], &[2.0, 4.0, 8.0, 16.0])]
    );
    let error = compiled(&doubling(true, None), &given(1.0, 10.0))
        .unwrap_err()
        .to_string();
    assert!(error.contains("run it with values"), "{error}");
    // At most so many, of which some are not made.
    for (x, limit, expected) in [(1.0, 10.0, 16.0), (1.0, 1e9, 64.0), (3.0, 0.0, 6.0)] {
        let found = both(&doubling(false, Some(6)), &given(x, limit))?;
        assert_eq!(found[0].as_slice::<f32>()?, [expected]);
    }
    let error = compiled(&doubling(true, Some(6)), &given(1.0, 10.0))
        .unwrap_err()
        .to_string();
    assert!(error.contains("how many elements"), "{error}");
    // None.
    let found = run(&doubling(true, Some(0)), &given(1.0, 10.0))?;
    assert_eq!(found, [array(&[], &[1.0]), array(&[0], &[])]);
    let found = run(&doubling(true, Some(-5)), &given(1.0, 10.0))?;
    assert_eq!(found[0], array(&[], &[1.0]));
    Ok(())
}

#[test]
fn a_loop_that_does_not_end_is_refused() {
    // Zero is never above the limit, however often it is doubled.
    let given = [("x", array(&[], &[0.0])), ("limit", array(&[], &[1.0]))];
    let error = run(&doubling(false, None), &given).unwrap_err().to_string();
    assert!(error.contains("let them end sooner"), "{error}");
}

/// Adds the numbers of the trips.
fn counting(trips: NodeSource) -> ModelRecord {
    let own = body(
        [
            NodeSource::Given(0),
            NodeSource::Given(1),
            NodeSource::Given(2),
            add(0, 2),
        ],
        &[1, 3],
    );
    let of_loop = Control::Loop {
        trips: Some(1),
        condition: None,
        states: vec![0],
        body: own,
    };
    record(
        &[("x", DType::I64, &[])],
        [
            node(NodeSource::Input("x".into())),
            node(trips),
            control(of_loop),
            result(2, 0),
        ],
        &[3],
        vec![Array::new([], vec![5i64]), Array::new([], vec![1i64 << 40])],
    )
}

#[test]
fn a_loop_of_known_trips_is_compiled_and_a_long_one_refused() -> Result<()> {
    let x = [("x", Array::new([], vec![100i64]))];
    let found = both(&counting(NodeSource::Constant(0)), &x)?;
    assert_eq!(found[0].as_slice::<i64>()?, [110]);
    let error = run(&counting(NodeSource::Constant(1)), &x)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a loop of 1099511627776 trips"), "{error}");
    // As many as an input says.
    let of_input = counting(NodeSource::Input("x".into()));
    assert_eq!(run(&of_input, &x)?[0].as_slice::<i64>()?, [100 + 99 * 50]);
    let error = compiled(&of_input, &x).unwrap_err().to_string();
    assert!(error.contains("how often a loop is to run"), "{error}");
    Ok(())
}

/// One of two, by whether the sum is greater than 0.
fn branching(then: Body, otherwise: Body) -> ModelRecord {
    let branch = Control::Branch {
        condition: 3,
        then,
        otherwise,
    };
    record(
        &[("x", DType::F32, &["length".into()])],
        [
            node(NodeSource::Input("x".into())),
            node(NodeSource::op(
                "sum",
                [
                    ("axes", RecordedAttribute::Sizes(vec![])),
                    ("keep", false.into()),
                ],
                [0],
            )),
            node(NodeSource::Constant(0)),
            node(NodeSource::op("greater", [], [1, 2])),
            control(branch),
            result(4, 0),
        ],
        &[5],
        vec![array(&[], &[0.0])],
    )
}

#[test]
fn a_branch_takes_one_of_two() -> Result<()> {
    let double = body([NodeSource::Outer(0), add(0, 0)], &[1]);
    let same = body([NodeSource::Outer(0)], &[0]);
    let total = body([NodeSource::Outer(1)], &[0]);
    let record = branching(double, same.clone());
    for (x, expected) in [([1.0, 2.0], [2.0, 4.0]), ([-1.0, -2.0], [-1.0, -2.0])] {
        let found = both(&record, &[("x", array(&[2], &x))])?;
        assert_eq!(found[0].as_slice::<f32>()?, expected);
        // Only what is taken has a gradient.
        let leaf = Tensor::from(array(&[2], &x));
        let y = applied(
            &record,
            &[("x", array(&[2], &x))],
            std::slice::from_ref(&leaf),
        )?;
        let slope = gradients(&y[0].sum(), &[&leaf])[0].eval()?;
        assert_eq!(slope.as_slice::<f32>()?, [expected[0] / x[0]; 2]);
    }
    // Branches of different shapes, of which one can be taken and not both.
    let apart = branching(total, same);
    for (x, expected) in [
        ([1.0, 2.0], array(&[], &[3.0])),
        ([-1.0, 0.0], array(&[2], &[-1.0, 0.0])),
    ] {
        assert_eq!(run(&apart, &[("x", array(&[2], &x))])?, [expected]);
    }
    let error = compiled(&apart, &[("x", array(&[2], &[1.0, 2.0]))])
        .unwrap_err()
        .to_string();
    assert!(error.contains("different shapes"), "{error}");
    Ok(())
}

/// A loop in a scan: each element is doubled three times, and added to what is outside of both.
#[test]
fn loops_lie_within_scans() -> Result<()> {
    let inner = Control::Loop {
        trips: Some(2),
        condition: None,
        states: vec![1],
        body: body(
            [
                NodeSource::Given(1),
                NodeSource::Given(2),
                NodeSource::Outer(3),
                add(1, 1),
                add(3, 2),
            ],
            &[0, 4],
        ),
    };
    let own = Body {
        nodes: vec![
            node(NodeSource::Given(0)),
            node(NodeSource::Given(1)),
            node(NodeSource::Constant(0)),
            node(NodeSource::Outer(0)),
            control(inner),
            result(4, 0),
            node(add(0, 5)),
        ],
        outputs: vec![6, 5],
    };
    let scan = Control::Scan {
        states: vec![0],
        sequences: vec![(1, Along::default())],
        stacks: vec![Along::default()],
        body: own,
    };
    let record = record(
        &[
            ("c", DType::F32, &[]),
            ("x", DType::F32, &["length".into()]),
        ],
        [
            node(NodeSource::Input("c".into())),
            node(NodeSource::Input("x".into())),
            control(scan),
            result(2, 0),
            result(2, 1),
        ],
        &[3, 4],
        vec![Array::new([], vec![3i64])],
    );
    let found = both(
        &record,
        &[("c", array(&[], &[1.0])), ("x", array(&[2], &[1.0, 2.0]))],
    )?;
    // x -> 8 x + 7.
    assert_eq!(
        found,
        [array(&[], &[1.0 + 15.0 + 23.0]), array(&[2], &[15.0, 23.0])]
    );
    Ok(())
}

#[test]
fn trips_draw_different_numbers() -> Result<()> {
    let draw = NodeSource::op(
        "uniform",
        [
            ("shape", RecordedAttribute::Sizes(vec![Size::from(2)])),
            ("key", RecordedAttribute::from(7i64)),
        ],
        [1],
    );
    let scan = Control::Scan {
        states: vec![],
        sequences: vec![(0, Along::default())],
        stacks: vec![Along::default()],
        body: body([NodeSource::Given(0), NodeSource::Outer(1), draw], &[2]),
    };
    let record = record(
        &[("x", DType::F32, &["length".into()])],
        [
            node(NodeSource::Input("x".into())),
            node(NodeSource::Step),
            control(scan),
            result(2, 0),
        ],
        &[3],
        vec![],
    );
    let drawn = both(&record, &[("x", array(&[3], &[0.0; 3]))])?;
    let mut drawn = drawn[0].as_slice::<f32>()?.to_vec();
    assert_eq!(drawn.len(), 6);
    drawn.sort_by(f32::total_cmp);
    drawn.dedup();
    assert_eq!(drawn.len(), 6, "all of them differ");
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() {
    let own = |nodes: &[NodeSource], outputs: &[usize]| Body {
        nodes: nodes.iter().cloned().map(node).collect(),
        outputs: outputs.to_vec(),
    };
    let scan = |body: Body| Control::Scan {
        states: vec![0],
        sequences: vec![(0, Along::default())],
        stacks: vec![],
        body,
    };
    let with = |flow: Control, more: NodeSource| {
        record(
            &[("x", DType::F32, &["length".into()])],
            [
                node(NodeSource::Input("x".into())),
                control(flow),
                result(1, 0),
                node(more),
            ],
            &[2],
            vec![],
        )
    };
    let fine = || own(&[NodeSource::Given(0)], &[0]);
    let input = || NodeSource::Input("x".into());
    assert!(with(scan(fine()), input()).check().is_ok());
    let mut deep = fine();
    for _ in 0..100 {
        deep = Body {
            nodes: vec![
                node(NodeSource::Given(0)),
                control(scan(deep)),
                result(1, 0),
            ],
            outputs: vec![2],
        };
    }
    for (record, said) in [
        (
            with(scan(own(&[NodeSource::Given(2)], &[0])), input()),
            "there is no such",
        ),
        (
            with(scan(own(&[NodeSource::Outer(1)], &[0])), input()),
            "no tensor there",
        ),
        (
            with(scan(own(&[NodeSource::Outer(9)], &[0])), input()),
            "no tensor there",
        ),
        (
            with(scan(own(&[NodeSource::Given(0)], &[1])), input()),
            "no tensor of it",
        ),
        (
            with(scan(own(&[NodeSource::Given(0)], &[0, 0])), input()),
            "each element",
        ),
        (with(scan(own(&[add(0, 0)], &[0])), input()), "comes later"),
        (
            with(scan(fine()), NodeSource::Result { of: 1, number: 1 }),
            "does not have it",
        ),
        (
            with(scan(fine()), NodeSource::Result { of: 0, number: 0 }),
            "does not have it",
        ),
        (with(scan(fine()), NodeSource::Given(0)), "there is no such"),
        (with(scan(fine()), NodeSource::Outer(0)), "no tensor there"),
        (with(scan(fine()), add(0, 1)), "is no tensor"),
        (with(scan(deep), input()), "too many loops"),
        (
            with(
                Control::Scan {
                    states: vec![0],
                    sequences: vec![],
                    stacks: vec![],
                    body: fine(),
                },
                input(),
            ),
            "no length",
        ),
        (
            with(
                Control::Loop {
                    trips: None,
                    condition: None,
                    states: vec![0],
                    body: fine(),
                },
                input(),
            ),
            "whether to go on",
        ),
        (
            with(
                Control::Loop {
                    trips: None,
                    condition: None,
                    states: vec![],
                    body: own(&[NodeSource::Given(1)], &[0]),
                },
                input(),
            ),
            "without an end",
        ),
        (
            with(
                Control::Branch {
                    condition: 0,
                    then: own(&[], &[]),
                    otherwise: own(&[NodeSource::Outer(0)], &[0]),
                },
                input(),
            ),
            "different numbers",
        ),
        (
            with(
                Control::Branch {
                    condition: 1,
                    then: fine(),
                    otherwise: fine(),
                },
                input(),
            ),
            "no tensor before it",
        ),
    ] {
        let error = record.check().unwrap_err().to_string();
        assert!(error.contains(said), "{error}, and not {said}");
    }
    // Shapes are known when a pass is built.
    let meta = Meta::new([3], DType::F32);
    let error = run(
        &with(
            Control::Branch {
                condition: 0,
                then: own(&[NodeSource::Outer(0)], &[0]),
                otherwise: own(&[NodeSource::Outer(0)], &[0]),
            },
            input(),
        ),
        &[("x", Array::zeros(&meta))],
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("one truth value"), "{error}");
}
