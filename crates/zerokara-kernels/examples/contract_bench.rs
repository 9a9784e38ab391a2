//! Speed of matrix products and convolutions on one thread, as shares of the measured peak of the FMA units.
//!
//! `cargo run --release -p zerokara-kernels --example contract_bench [filter]`

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    time::Instant,
};
use zerokara_kernels::{
    conv,
    gemm::{self, GemmShape, Left, Right},
    isa::Isa,
    plan::{Arithmetic, ConvGeometry, ConvPass},
};

/// All memory at cache lines, as the executor has it: vectors that cross lines cost twice.
struct Aligned;

// SAFETY: the system's allocator, with a stricter alignment.
unsafe impl GlobalAlloc for Aligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on; alignments up to a page are valid for any size that can be allocated.
        unsafe {
            System.alloc(Layout::from_size_align_unchecked(
                layout.size(),
                layout.align().max(64),
            ))
        }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: allocated with this very alignment.
        unsafe {
            System.dealloc(
                p,
                Layout::from_size_align_unchecked(layout.size(), layout.align().max(64)),
            )
        }
    }
}

#[global_allocator]
static ALLOCATOR: Aligned = Aligned;

/// Seconds per call: the quickest of several repetitions, each long enough to time.
fn seconds(mut call: impl FnMut()) -> f64 {
    call();
    let start = Instant::now();
    call();
    let once = start.elapsed().as_secs_f64().max(1e-8);
    let calls = (5e-4 / once).ceil().clamp(1.0, 1e6) as usize;
    let mut best = f64::INFINITY;
    for _ in 0..30 {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() / calls as f64);
    }
    best
}

/// Multiplications per second of a loop that only multiplies and adds in registers.
fn peak(isa: Isa) -> f64 {
    let rounds = 100_000;
    let time = seconds(|| {
        // SAFETY: `isa` comes from `Isa::detect`.
        black_box(unsafe { gemm::fma_loop(isa, rounds) });
    });
    (rounds * 12 * isa.lanes()) as f64 / time
}

fn numbers(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5)
        .collect()
}

fn gemm(isa: Isa, peak: f64, filter: &str) {
    println!(
        "{:34} {:>9} {:>9} {:>9} {:>9}",
        "m x k x n", "in place", "packed", "packing", "with it"
    );
    let row = |m, k, n, transposed: [bool; 2]| {
        let name = format!(
            "{m} x {k} x {n}{}{}",
            if transposed[0] { " a^T" } else { "" },
            if transposed[1] { " b^T" } else { "" }
        );
        if !name.contains(filter) && !filter.contains(',') {
            return;
        }
        let shape = GemmShape { batch: 1, m, n, k };
        let (a, b) = (numbers(m * k), numbers(k * n));
        let (mi, ni, ki) = (m as isize, n as isize, k as isize);
        let a_strides = if transposed[0] {
            [0, 1, mi]
        } else {
            [0, ki, 1]
        };
        let b_strides = if transposed[1] { [1, ki] } else { [ni, 1] };
        let mut c = vec![0.0f32; m * n];
        let mut panels = vec![0.0f32; gemm::packed_len(isa, k, n)];
        let left = Left {
            start: a.as_ptr(),
            strides: a_strides,
        };
        let mut scratch = vec![0.0; gemm::SCRATCH_LEN];
        let mut run = |right| {
            for unit in 0..gemm::units(isa, &shape) {
                // SAFETY: the vectors have the shapes' lengths, and `isa` comes from `Isa::detect`.
                unsafe {
                    gemm::run_unit(
                        isa,
                        &shape,
                        unit,
                        left,
                        right,
                        c.as_mut_ptr(),
                        [0, ni],
                        &mut scratch,
                    )
                };
            }
        };
        let strides = [0, b_strides[0], b_strides[1]];
        let in_place = seconds(|| {
            run(Right::InPlace {
                start: b.as_ptr(),
                strides,
            })
        });
        let packing = seconds(|| {
            for unit in 0..gemm::pack_units(isa, k, n) {
                // SAFETY: the vectors have the shapes' lengths, and `isa` comes from `Isa::detect`.
                unsafe {
                    gemm::pack_unit(isa, unit, k, n, b.as_ptr(), b_strides, panels.as_mut_ptr())
                };
            }
        });
        let packed = seconds(|| {
            run(Right::Packed {
                start: panels.as_ptr(),
                stride: 0,
            })
        });
        let share = |time: f64| 100.0 * (m * k * n) as f64 / time / peak;
        println!(
            "{name:34} {:8.1}% {:8.1}% {:6.1} us {:8.1}%  {:8.1} us, {} units{}",
            share(in_place),
            share(packed),
            packing * 1e6,
            share(packing + packed),
            packed.min(in_place) * 1e6,
            gemm::units(isa, &shape),
            if gemm::wants_packing(isa, m, n, k, b_strides) {
                ", packs"
            } else {
                ""
            },
        );
    };
    if let [m, k, n] = filter
        .split(',')
        .filter_map(|x| x.parse().ok())
        .collect::<Vec<usize>>()[..]
    {
        row(m, k, n, [false, false]);
        row(m, k, n, [false, true]);
        row(m, k, n, [true, false]);
        return;
    }
    for (m, k, n) in [
        (100, 4320, 100),
        (100, 784, 50),
        (128, 1024, 50),
        (100, 50, 10),
        (100, 100, 10),
        (100, 100, 100),
        (512, 512, 512),
        (1024, 1024, 1024),
    ] {
        row(m, k, n, [false, false]);
        row(m, k, n, [false, true]);
    }
    for (m, k, n) in [
        (4320, 100, 100),
        (784, 100, 50),
        (1024, 128, 50),
        (50, 100, 10),
    ] {
        row(m, k, n, [true, false]);
        row(n, k, m, [true, false]);
    }
    for m in [1, 4, 8, 16, 32] {
        for (k, n) in [(784, 50), (4320, 100)] {
            row(m, k, n, [false, false]);
            row(m, k, n, [false, true]);
        }
    }
}

fn convolutions(isa: Isa, peak: f64, filter: &str) {
    println!(
        "{:34} {:>9} {:>9} {:>9} {:>19}",
        "convolution", "forward", "input", "weights", "packing"
    );
    for (c, o, size, kernel, padding, stride) in [
        (1, 30, 28, 5, 0, 1),
        (1, 16, 28, 3, 1, 1),
        (16, 16, 28, 3, 1, 1),
        (16, 32, 14, 3, 1, 1),
        (32, 32, 14, 3, 1, 1),
        (32, 32, 14, 3, 2, 1),
        (32, 64, 8, 3, 1, 1),
        (64, 64, 8, 3, 1, 1),
        (64, 64, 4, 3, 1, 1),
        (32, 64, 7, 3, 1, 1),
        (64, 64, 7, 3, 1, 1),
        (16, 16, 32, 3, 1, 1),
        (32, 32, 16, 3, 1, 1),
        (3, 32, 32, 3, 1, 1),
        (64, 64, 32, 3, 1, 1),
        (16, 32, 28, 3, 1, 2),
        (32, 64, 14, 1, 0, 2),
    ] {
        let name = format!("{c} -> {o} @ {size}, {kernel} x {kernel} / {stride} + {padding}");
        if !name.contains(filter) {
            continue;
        }
        let out = (size + 2 * padding - kernel) / stride + 1;
        // Short calls, so that the quickest of many is undisturbed on a busy machine.
        let batch = (300_000_000 / (out * out * o * c * kernel * kernel)).clamp(1, 100);
        let g = ConvGeometry {
            batch,
            in_channels: c,
            out_channels: o,
            input: [size; 2],
            output: [out; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: padding.into(),
            dilation: [1; 2],
            groups: 1,
            direct: false,
        };
        let (mut input, mut output) = (
            numbers(batch * c * size * size),
            numbers(batch * o * out * out),
        );
        let filters = numbers(o * c * kernel * kernel);
        let work = (batch * o * out * out * c * kernel * kernel) as f64;
        let share = |time: f64| 100.0 * work / time / peak;
        let dense = |pass, source: &[f32], target: &mut [f32]| {
            let mut packed = vec![0.0; conv::packed_len(isa, &g, pass)];
            let taps = (kernel * kernel) as isize;
            let strides = [c as isize * taps, taps, kernel as isize, 1];
            let packing = seconds(|| {
                for unit in 0..conv::pack_units(isa, &g, pass) {
                    let (from, to) = (filters.as_ptr(), packed.as_mut_ptr());
                    // SAFETY: the vectors have the geometry's lengths, and `isa` comes from `Isa::detect`.
                    unsafe {
                        conv::pack_unit(isa, Arithmetic::F32, &g, pass, unit, from, strides, to)
                    };
                }
            });
            let mut scratch = vec![0.0; conv::scratch_len(isa, &g, pass)];
            let (source, packed, target) = (source.as_ptr(), packed.as_ptr(), target.as_mut_ptr());
            let run = share(seconds(|| {
                for unit in 0..conv::units(isa, &g, pass) {
                    // SAFETY: the vectors have the geometry's lengths, and `isa` comes from `Isa::detect`.
                    unsafe {
                        conv::run_unit(
                            isa,
                            Arithmetic::F32,
                            &g,
                            pass,
                            unit,
                            source,
                            packed,
                            target,
                            &mut scratch,
                        )
                    };
                }
            }));
            (run, 1e6 * packing)
        };
        let (forward, packing) = dense(ConvPass::Forward, &input, &mut output);
        let (backward, again) = dense(ConvPass::InputGradient, &output, &mut input);
        let mut partials = vec![0.0; conv::partials(&g) * filters.len()];
        let mut scratch = vec![0.0; conv::weight_gradient_scratch_len(isa, &g)];
        let weights = share(seconds(|| {
            for unit in 0..conv::weight_gradient_units(isa, &g) {
                let (input, output, to) = (input.as_ptr(), output.as_ptr(), partials.as_mut_ptr());
                // SAFETY: the vectors have the geometry's lengths, and `isa` comes from `Isa::detect`.
                unsafe {
                    conv::run_weight_gradient_unit(
                        isa,
                        Arithmetic::F32,
                        &g,
                        unit,
                        input,
                        output,
                        to,
                        &mut scratch,
                    )
                };
            }
        }));
        println!(
            "{name:34} {forward:8.1}% {backward:8.1}% {weights:8.1}% {packing:8.1} {again:8.1} us"
        );
    }
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let isa = match Isa::detect() {
        Ok(isa) => isa,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let peak = peak(isa);
    println!("{}: {:.1} GFLOP/s in registers", isa.name(), 2e-9 * peak);
    gemm(isa, peak, &filter);
    convolutions(isa, peak, &filter);
}
