//! Records made node by node, as importers make them: no layers, no code.

use zerokara_core::{Array, Axis, DType, Meta, Metas, Port, Result, Signature, record::*};

fn node(source: NodeSource) -> NodeRecord {
    NodeRecord {
        source,
        layer: Some("net".into()),
    }
}

/// `y = x w + at`, where `at` is the number of the row, and the sum of all.
fn record() -> ModelRecord {
    let series = Series {
        dtype: DType::F32,
        shape: vec![Size::of("rows"), Size::from(1)],
        start: 0.0,
        steps: vec![1.0, 0.0],
    };
    let graph = GraphRecord {
        nodes: vec![
            node(NodeSource::Input("x".into())),
            node(NodeSource::Parameter("w".into())),
            node(NodeSource::op("matmul", [], [0, 1])),
            node(NodeSource::Series(series)),
            node(NodeSource::op("broadcast", [], [3, 2])),
            node(NodeSource::op("add", [], [2, 4])),
            node(NodeSource::op(
                "sum",
                [
                    ("axes", RecordedAttribute::Sizes(vec![])),
                    ("keep", false.into()),
                ],
                [5],
            )),
        ],
        outputs: vec![5, 6],
        updates: vec![],
    };
    ModelRecord {
        signature: Signature {
            inputs: vec![Port::new("x", DType::F32, [Axis::from("rows"), 2.into()])],
            outputs: vec![],
            states: vec![],
        },
        lengths: Lengths::one("rows", 3),
        evaluate: graph.clone(),
        train: graph,
        parameters: vec![ParameterRecord {
            name: "w".into(),
            trainable: true,
            value: Array::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]),
        }],
        constants: vec![],
    }
}

#[test]
fn a_record_made_by_hand_tells_its_outputs_and_runs() -> Result<()> {
    let mut record = record();
    assert!(record.check().is_err(), "it has outputs without names");
    record.infer_outputs(&["y", "total"])?;
    record.check()?;
    record.check_passes()?;
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [rows, 2]) -> (y: f32 [rows, 2], total: f32 [])"
    );
    assert_eq!(
        record.sample()?,
        Metas::one("x", Meta::new([3, 2], DType::F32))
    );
    for rows in [1, 4] {
        let x = Array::new([rows, 2], vec![1.0f32; 2 * rows]);
        let outputs = record.run(&[("x", x)].into())?;
        let expected: Vec<f64> = (0..rows)
            .flat_map(|r| [4.0, 6.0].map(|v| v + r as f64))
            .collect();
        assert_eq!(outputs.find("y")?.to_f64s(), expected);
        assert_eq!(
            outputs.find("total")?.to_f64s(),
            [expected.iter().sum::<f64>()]
        );
    }
    let wrong = Array::new([1, 3], vec![1.0f32; 3]);
    let said = record.run(&[("x", wrong)].into()).unwrap_err().to_string();
    assert!(
        said.contains("takes x: f32 [rows, 2], not f32[1, 3]"),
        "{said}"
    );
    Ok(())
}

#[test]
fn what_refers_to_nothing_is_named() -> Result<()> {
    let said = |change: &dyn Fn(&mut ModelRecord)| {
        let mut record = record();
        record.infer_outputs(&["y", "total"]).unwrap();
        change(&mut record);
        record.check().unwrap_err().to_string()
    };
    let s = said(&|r| r.evaluate.nodes[1].source = NodeSource::Parameter("v".into()));
    assert!(
        s.contains("node 1 of the graph names the parameter v, which there is not"),
        "{s}"
    );
    let s = said(&|r| r.train.nodes[1].source = NodeSource::Constant(0));
    assert!(
        s.contains("names the constant 0, which there is not"),
        "{s}"
    );
    let s = said(&|r| r.train.nodes[2].source = NodeSource::op("matmul", [], [0, 2]));
    assert!(
        s.contains("(matmul) has the input 2, which comes later"),
        "{s}"
    );
    let s = said(&|r| r.lengths = Lengths::new());
    assert!(s.contains("the record does not say what it was"), "{s}");
    let s = said(&|r| r.evaluate.outputs.push(0));
    assert!(
        s.contains("the graph has 3 outputs, and the signature 2"),
        "{s}"
    );
    let s = said(&|r| r.train.updates = vec![("w".into(), 2), ("w".into(), 2)]);
    assert!(s.contains("the graph updates \"w\" twice"), "{s}");
    let s = said(&|r| r.train.updates = vec![("v".into(), 2)]);
    assert!(
        s.contains("the graph updates v, which is no parameter"),
        "{s}"
    );
    let s = said(&|r| {
        let port = r.signature.inputs[0].clone();
        r.signature.inputs = (0..2000)
            .map(|i| Port {
                name: format!("x{i}").into(),
                ..port.clone()
            })
            .collect();
    });
    assert!(
        s.contains("there are 2000 inputs; a record has at most 1000"),
        "{s}"
    );
    Ok(())
}
