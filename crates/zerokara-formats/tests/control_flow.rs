//! Records with branches and loops, saved and loaded.

use zerokara_core::{Array, Axis, DType, Port, Signature};
use zerokara_formats::{model, *};
use zerokara_nn::record::*;

fn node(source: NodeSource) -> NodeRecord {
    NodeRecord {
        source,
        layer: None,
    }
}

fn control(control: Control) -> NodeSource {
    NodeSource::Control(Box::new(control))
}

fn body(nodes: Vec<NodeSource>, outputs: Vec<usize>) -> Body {
    Body {
        nodes: nodes.into_iter().map(node).collect(),
        outputs,
    }
}

/// Sums so far of what is doubled as often as a constant says, from the back; or of what it was, if the first is not above zero.
fn record() -> ModelRecord {
    let doubling = Control::Loop {
        trips: Some(1),
        condition: Some(2),
        states: vec![0],
        body: body(
            vec![
                NodeSource::Given(1),
                NodeSource::Given(2),
                NodeSource::op("add", [], [1, 1]),
            ],
            vec![0, 2],
        ),
    };
    let choosing = Control::Branch {
        condition: 3,
        then: body(vec![NodeSource::Outer(6)], vec![0]),
        otherwise: body(vec![NodeSource::Outer(0)], vec![0]),
    };
    let summing = Control::Scan {
        states: vec![4],
        sequences: vec![(
            8,
            Along {
                axis: -1,
                reverse: true,
            },
        )],
        stacks: vec![Along {
            axis: 0,
            reverse: true,
        }],
        body: body(
            vec![
                NodeSource::Given(0),
                NodeSource::Given(1),
                NodeSource::op("add", [], [0, 1]),
            ],
            vec![2, 2],
        ),
    };
    let sources = vec![
        NodeSource::Input("x".into()),
        NodeSource::Constant(0),
        NodeSource::Constant(1),
        NodeSource::Input("chosen".into()),
        NodeSource::Constant(2),
        control(doubling),
        NodeSource::Result { of: 5, number: 0 },
        control(choosing),
        NodeSource::Result { of: 7, number: 0 },
        control(summing),
        NodeSource::Result { of: 9, number: 0 },
        NodeSource::Result { of: 9, number: 1 },
    ];
    let graph = GraphRecord {
        nodes: sources.into_iter().map(node).collect(),
        outputs: vec![10, 11],
        updates: vec![],
    };
    ModelRecord {
        signature: Signature {
            inputs: vec![
                Port::new("x", DType::F32, [Axis::from("length")]),
                Port::new("chosen", DType::Bool, [0usize; 0]),
            ],
            outputs: vec![
                Port::new("total", DType::F32, [0usize; 0]),
                Port::new("sums", DType::F32, [Axis::from("length")]),
            ],
            states: vec![],
        },
        lengths: Lengths::one("length", 3),
        evaluate: graph.clone(),
        train: graph,
        parameters: vec![],
        constants: vec![
            Array::new([], vec![3i64]),
            Array::new([], vec![true]),
            Array::new([], vec![0.5f32]),
        ],
    }
}

#[test]
fn a_saved_record_runs_at_any_length() {
    let record = record();
    let file = model::to_file(&record, &ModelInfo::default()).unwrap();
    let file = SafeTensors::from_bytes(&file.to_bytes().unwrap()).unwrap();
    let (read, _) = model::from_file(file).unwrap();
    assert_eq!(read, record);
    read.check_passes().unwrap();
    for (chosen, x, sums) in [
        (true, vec![1.0f32, 2.0, 3.0], vec![48.5f32, 40.5, 24.5]),
        (false, vec![1.0, 2.0], vec![3.5, 2.5]),
        (true, vec![], vec![]),
    ] {
        let given = [
            ("x", Array::new([x.len()], x.clone())),
            ("chosen", Array::new([], vec![chosen])),
        ];
        let found = read.run(&given.into()).unwrap();
        assert_eq!(found.find("sums").unwrap().as_slice::<f32>().unwrap(), sums);
        let total = sums.first().copied().unwrap_or(0.5);
        assert_eq!(
            found.find("total").unwrap().as_slice::<f32>().unwrap(),
            [total]
        );
    }
}

#[test]
fn damage_is_an_error() {
    let file = model::to_file(&record(), &ModelInfo::default()).unwrap();
    let read = SafeTensors::from_bytes(&file.to_bytes().unwrap()).unwrap();
    for (from, to) in [
        (r#""is":"scan""#, r#""is":"walk""#),
        (r#""given":1"#, r#""given":7"#),
        (r#""outer":6"#, r#""outer":-6"#),
        (r#""outer":6"#, r#""outer":11"#),
        (r#""result":[9,1]"#, r#""result":[9,2]"#),
        (r#""result":[9,1]"#, r#""result":[9]"#),
        (r#""trips":1"#, r#""trips":"one""#),
        (r#""condition":2"#, r#""condition":5"#),
        (r#"[8,-1,true]"#, r#"[8,-1,1]"#),
        (r#""stacks":[[0,true]]"#, r#""stacks":[]"#),
    ] {
        let mut bad = read.clone();
        let text = &bad.metadata["zerokara.graph"];
        assert!(text.contains(from), "{from} {text}");
        let text = text.replacen(from, to, 1);
        bad.metadata.insert("zerokara.graph".into(), text);
        assert!(model::from_file(bad).is_err(), "{to}");
    }
}
