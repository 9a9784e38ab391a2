//! Programs, parameters and eager evaluation from many threads at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use zerokara_core::{
    Arithmetic, Array, DType, Parameter, Program, Result, Runtime, Tensor, eval_in, gradients,
};

/// Runs what must end on a thread of its own; that it does not is a failure, not a test that hangs.
fn within(seconds: u64, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(seconds)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done after {seconds} s"),
        _ => thread.join().unwrap(),
    }
}

fn parameter(name: &str, shape: &[usize], value: f64) -> Parameter {
    Parameter::new(name, &Tensor::full(shape, value, DType::F32)).unwrap()
}

/// A small adversarial pair with a shared first layer: each program updates what the other reads, and both update the
/// shared layer.
#[test]
fn programs_that_update_what_others_read_do_not_wait_for_each_other() {
    within(120, || {
        // Made in an order in which neither program names them.
        let critic = parameter("critic", &[4, 1], 0.1);
        let shared = parameter("shared", &[4, 4], 0.2);
        let maker = parameter("maker", &[4, 4], 0.3);
        let z = Tensor::input("z", [2, 4], DType::F32);
        let score = |x: &Tensor| x.matmul(&shared.tensor()).tanh().matmul(&critic.tensor());
        let made = z.matmul(&maker.tensor()).tanh();
        let program = |loss: &Tensor, cells: &[&Parameter]| {
            let leaves: Vec<Tensor> = cells.iter().map(|p| p.tensor()).collect();
            let slopes = gradients(loss, &leaves.iter().collect::<Vec<_>>());
            let updates = cells.iter().zip(leaves.iter().zip(&slopes));
            let updates: Vec<(Parameter, Tensor)> = updates
                .map(|(&cell, (old, slope))| (cell.clone(), old - slope * 1e-3))
                .collect();
            Program::compile(&[&z], &[loss], &updates).unwrap()
        };
        let fooled = program(&-score(&made).mean(), &[&maker, &shared]);
        let judged = program(&score(&made).mean(), &[&shared, &critic]);
        let z = [Array::new([2, 4], vec![0.5f32; 8])];
        thread::scope(|scope| {
            for program in [&fooled, &judged] {
                scope.spawn(|| {
                    let mut runner = program.runner();
                    for _ in 0..5000 {
                        let loss = runner.run(&z).unwrap()[0].to_f64s()[0];
                        assert!(loss.is_finite());
                    }
                });
            }
        });
    });
}

/// Two parameters that one program raises together are equal to every reader.
/// How often each of two readers looks, at least, while a writer never rests.
const LOOKS: usize = 100_000;

#[test]
fn an_update_is_seen_whole_or_not_at_all() {
    within(300, || {
        let p = parameter("p", &[5], 0.0);
        let q = parameter("q", &[5], 0.0);
        let one = Tensor::ones([5]);
        let updates = [
            (q.clone(), q.tensor() + &one),
            (p.clone(), p.tensor() + &one),
        ];
        let raise = Program::compile(&[], &[], &updates).unwrap();
        let outputs = [q.tensor() - p.tensor(), p.tensor()];
        let look = Program::compile(&[], &[&outputs[0], &outputs[1]], &[]).unwrap();
        drop((updates, outputs));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut raises = 0;
                while !is_over.load(Ordering::Relaxed) {
                    raise.run(&[]).unwrap();
                    raises += 1;
                }
                raises
            });
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut runner = look.runner();
                        let (mut seen, mut last) = (0, 0.0);
                        let mut looks = 0;
                        // Who waits for a lock is left to the system: a look more than so many until something new is there.
                        while looks < LOOKS || seen == 0 {
                            looks += 1;
                            let outputs = runner.run(&[]).unwrap();
                            assert_eq!(outputs[0].as_slice::<f32>().unwrap(), [0.0; 5]);
                            let now = outputs[1].as_slice::<f32>().unwrap()[4];
                            assert!(now >= last);
                            seen += usize::from(now != last);
                            last = now;
                        }
                        seen
                    })
                })
                .collect();
            let seen: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
            // Before anything is asserted: the writer ends by this alone.
            is_over.store(true, Ordering::Relaxed);
            for seen in seen {
                assert!(seen.unwrap() > 0, "no new value was seen");
            }
            assert!(writer.join().unwrap() > 0);
        });
    });
}

/// Weights that are packed once for all runs are packed again when they change, and never mixed.
#[test]
fn what_is_prepared_follows_the_parameters() -> Result<()> {
    const N: usize = 64;
    let w = parameter("w", &[N, N], 1.0);
    let x = Tensor::input("x", [N, N], DType::F32);
    let program = Program::compile(&[&x], &[&x.matmul(&w.tensor())], &[])?;
    assert!(program.plan().preparation > 0, "{}", program.dump());
    let ones = [Array::new([N, N], vec![1.0f32; N * N])];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0.0;
                    let mut seen = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let product = program.run(&ones).unwrap().remove(0);
                        let product = product.as_slice::<f32>().unwrap();
                        let first = product[0];
                        assert!(product.iter().all(|&y| y == first));
                        assert!(first >= last && first % N as f32 == 0.0, "{first}");
                        seen += usize::from(first != last);
                        last = first;
                    }
                    seen
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_millis(500);
        let mut k = 1.0;
        while Instant::now() < end {
            k += 1.0;
            w.set(&Tensor::full([N, N], k, DType::F32)).unwrap();
            if (k as u32).is_multiple_of(8) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let seen: Vec<usize> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        assert!(seen.iter().all(|&seen| seen > 1), "{seen:?}");
    });
    Ok(())
}

/// Graphs of the same structure and of others, evaluated side by side.
#[test]
fn eager_evaluation_side_by_side() {
    let runtime = Arc::new(Runtime::new(2).unwrap());
    within(120, move || {
        let before = runtime.plans_compiled();
        thread::scope(|scope| {
            for thread in 0..4u32 {
                let runtime = &runtime;
                scope.spawn(move || {
                    for turn in 0..200u32 {
                        let k = turn % 10;
                        let x = Tensor::from(vec![thread as f32; 1000]);
                        // As many structures as there are `k`.
                        let sum = (0..k).fold(x.clone(), |y, _| (y + &x).abs()).sum();
                        let found = sum.eval_in(runtime).unwrap().to_f64s();
                        assert_eq!(found, [f64::from(thread * (k + 1) * 1000)]);
                    }
                });
            }
        });
        assert_eq!(runtime.plans_compiled() - before, 10);
    });
}

#[test]
fn a_runtime_can_be_handed_in() -> Result<()> {
    let runtime = Arc::new(Runtime::new(1)?.with_memory_limit(1_000_000));
    let large = || Tensor::ones([1000, 1000]);
    let sum = |x: Tensor| (x * 2.0).sum();
    // Its limit holds, and not that of the default runtime.
    let error = (large() * 2.0).eval_in(&runtime).unwrap_err().to_string();
    assert!(error.contains("1.0 MB"), "{error}");
    let compile = |runtime: &Arc<Runtime>, tensor: &Tensor| {
        Program::compile_in(runtime.clone(), &[], &[tensor], &[], Arithmetic::F32)
    };
    assert!(compile(&runtime, &(large() * 2.0)).is_err());
    let values = eval_in(&runtime, &[&sum(Tensor::ones([10])), &Tensor::from(3.0)])?;
    assert_eq!(values[0].to_f64s(), [20.0]);
    assert_eq!(values[1].to_f64s(), [3.0]);
    let many = Arc::new(Runtime::new(3)?);
    let program = compile(&many, &sum(large()))?;
    assert_eq!(program.run(&[])?[0].to_f64s(), [2e6]);
    assert_eq!(many.plans_compiled(), 0);
    Ok(())
}
