//! The sums of a tile on AVX2, instruction by instruction.
//!
//! Six rows of two vectors take 12 multiply-adds, 2 loads and 6 broadcasts for each term, in six cycles. The compiler's
//! loop also computes addresses term by term, and gives the CPU a third more instructions: no loss while a core has
//! nothing else to do, but up to a fifth of the speed where another thread runs on the same core, since two threads
//! share its decoding. Here addresses are registers with constant distances, and counting is done every four terms.

use super::{Terms, TileOperands};
use core::arch::{asm, x86_64::__m256};

/// The first so many rows of a tile, handed to a macro behind its other arguments.
macro_rules! first {
    (2 of $go:ident $x:tt $a:tt $b:tt $($rest:tt)*) => { $go!($x $a $b) };
    (3 of $go:ident $x:tt $a:tt $b:tt $c:tt $($rest:tt)*) => { $go!($x $a $b $c) };
    (4 of $go:ident $x:tt $a:tt $b:tt $c:tt $d:tt $($rest:tt)*) => { $go!($x $a $b $c $d) };
    (5 of $go:ident $x:tt $a:tt $b:tt $c:tt $d:tt $e:tt $($rest:tt)*) => { $go!($x $a $b $c $d $e) };
    (6 of $go:ident $x:tt $a:tt $b:tt $c:tt $d:tt $e:tt $f:tt) => { $go!($x $a $b $c $d $e $f) };
}

/// Tiles of two vectors; where these lie in the panel, and the registers that take them. For each row its name and number,
/// its distance from the first if rows lie side by side, the register that takes its number, and its sums, each with the
/// panel's vector that it takes.
macro_rules! two_wide {
    ($rows:tt of $go:ident $x:tt) => {
        first!($rows of $go (["0" "ymm12" "32" "ymm13"] 64 $x)
            (a 0 "0" "ymm14" ["ymm0" "ymm12" 0] ["ymm1" "ymm13" 1])
            (b 1 "4" "ymm15" ["ymm2" "ymm12" 0] ["ymm3" "ymm13" 1])
            (c 2 "8" "ymm14" ["ymm4" "ymm12" 0] ["ymm5" "ymm13" 1])
            (d 3 "12" "ymm15" ["ymm6" "ymm12" 0] ["ymm7" "ymm13" 1])
            (e 4 "16" "ymm14" ["ymm8" "ymm12" 0] ["ymm9" "ymm13" 1])
            (f 5 "20" "ymm15" ["ymm10" "ymm12" 0] ["ymm11" "ymm13" 1]))
    };
}

/// Tiles of three vectors.
macro_rules! three_wide {
    ($rows:tt of $go:ident $x:tt) => {
        first!($rows of $go (["0" "ymm12" "32" "ymm13" "64" "ymm14"] 96 $x)
            (a 0 "0" "ymm15" ["ymm0" "ymm12" 0] ["ymm1" "ymm13" 1] ["ymm2" "ymm14" 2])
            (b 1 "4" "ymm15" ["ymm3" "ymm12" 0] ["ymm4" "ymm13" 1] ["ymm5" "ymm14" 2])
            (c 2 "8" "ymm15" ["ymm6" "ymm12" 0] ["ymm7" "ymm13" 1] ["ymm8" "ymm14" 2])
            (d 3 "12" "ymm15" ["ymm9" "ymm12" 0] ["ymm10" "ymm13" 1] ["ymm11" "ymm14" 2]))
    };
}

/// One term: line `$line` of the panel, then for each row the number at its address, and what it adds to the sums.
macro_rules! term {
    ([$($at:literal $vector:literal)+] $width:literal $line:literal; $($address:expr, $t:literal $($sum:literal $c:literal)+;)+) => {
        concat!(
            $("vmovups ", $vector, ", ymmword ptr [{panel} + ", $at, " + ", $width, " * ", $line, "]\n",)+
            $(
                "vbroadcastss ", $t, ", dword ptr [", $address, "]\n",
                $("vfmadd231ps ", $sum, ", ", $t, ", ", $c, "\n",)+
            )+
        )
    };
}

/// The loop over the terms: four at a time, then one by one. `{i}` counts from minus their number up to zero.
macro_rules! terms {
    ($width:literal, $panel:ident, $depth:ident, $first:expr, $second:expr, $third:expr, $fourth:expr, $single:expr, $($operands:tt)+) => {
        asm!(
            "cmp {i}, -4",
            "jg 3f",
            "2:",
            $first,
            $second,
            $third,
            $fourth,
            concat!("add {panel}, 4 * ", $width),
            "add {i}, 4",
            "cmp {i}, -4",
            "jle 2b",
            "3:",
            "test {i}, {i}",
            "jz 5f",
            "4:",
            $single,
            concat!("add {panel}, ", $width),
            "add {i}, 1",
            "jnz 4b",
            "5:",
            panel = inout(reg) $panel => _,
            i = inout(reg) -($depth as isize) => _,
            $($operands)+
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(pure, readonly, nostack),
        )
    };
}

/// Rows that are each dense along k: term k of row r is at `rows[r] + k`.
macro_rules! dense {
    (
        ($vectors:tt $width:literal ($rows:ident $panel:ident $depth:ident $sums:ident))
        $(($p:ident $r:tt $side:tt $t:tt $([$sum:tt $c:tt $v:tt])+))+
    ) => {
        terms!(
            $width, $panel, $depth,
            term!($vectors $width "0"; $(concat!("{", stringify!($p), "} + 4*{i}"), $t $($sum $c)+;)+),
            term!($vectors $width "1"; $(concat!("{", stringify!($p), "} + 4*{i} + 4"), $t $($sum $c)+;)+),
            term!($vectors $width "2"; $(concat!("{", stringify!($p), "} + 4*{i} + 8"), $t $($sum $c)+;)+),
            term!($vectors $width "3"; $(concat!("{", stringify!($p), "} + 4*{i} + 12"), $t $($sum $c)+;)+),
            term!($vectors $width "0"; $(concat!("{", stringify!($p), "} + 4*{i}"), $t $($sum $c)+;)+),
            $($p = in(reg) $rows[$r].wrapping_add($depth),)+
            $($(inout($sum) $sums[$r][$v],)+)+
        )
    };
}

/// Rows side by side: term k of row r is at `left + k * step + r`.
macro_rules! side_by_side {
    (
        ($vectors:tt $width:literal ($left:ident $step:ident $panel:ident $depth:ident $sums:ident))
        $(($p:ident $r:tt $side:tt $t:tt $([$sum:tt $c:tt $v:tt])+))+
    ) => {
        terms!(
            $width, $panel, $depth,
            term!($vectors $width "0"; $(concat!("{left} + ", $side), $t $($sum $c)+;)+),
            concat!(
                term!($vectors $width "1"; $(concat!("{left} + {step} + ", $side), $t $($sum $c)+;)+),
                "lea {left}, [{left} + 2*{step}]\n",
            ),
            term!($vectors $width "2"; $(concat!("{left} + ", $side), $t $($sum $c)+;)+),
            concat!(
                term!($vectors $width "3"; $(concat!("{left} + {step} + ", $side), $t $($sum $c)+;)+),
                "lea {left}, [{left} + 2*{step}]\n",
            ),
            concat!(
                term!($vectors $width "0"; $(concat!("{left} + ", $side), $t $($sum $c)+;)+),
                "add {left}, {step}\n",
            ),
            left = inout(reg) $left => _,
            step = in(reg) $step * 4,
            $($(inout($sum) $sums[$r][$v],)+)+
        )
    };
}

/// Terms at listed distances: term k of row r is at `rows[r] + offsets[k]`.
macro_rules! listed {
    (
        ($vectors:tt $width:literal ($rows:ident $offsets:ident $panel:ident $depth:ident $sums:ident))
        $(($p:ident $r:tt $side:tt $t:tt $([$sum:tt $c:tt $v:tt])+))+
    ) => {
        terms!(
            $width, $panel, $depth,
            concat!(
                "mov {o}, qword ptr [{offsets} + 8*{i}]\n",
                term!($vectors $width "0"; $(concat!("{", stringify!($p), "} + 4*{o}"), $t $($sum $c)+;)+),
            ),
            concat!(
                "mov {o}, qword ptr [{offsets} + 8*{i} + 8]\n",
                term!($vectors $width "1"; $(concat!("{", stringify!($p), "} + 4*{o}"), $t $($sum $c)+;)+),
            ),
            concat!(
                "mov {o}, qword ptr [{offsets} + 8*{i} + 16]\n",
                term!($vectors $width "2"; $(concat!("{", stringify!($p), "} + 4*{o}"), $t $($sum $c)+;)+),
            ),
            concat!(
                "mov {o}, qword ptr [{offsets} + 8*{i} + 24]\n",
                term!($vectors $width "3"; $(concat!("{", stringify!($p), "} + 4*{o}"), $t $($sum $c)+;)+),
            ),
            concat!(
                "mov {o}, qword ptr [{offsets} + 8*{i}]\n",
                term!($vectors $width "0"; $(concat!("{", stringify!($p), "} + 4*{o}"), $t $($sum $c)+;)+),
            ),
            $($p = in(reg) $rows[$r],)+
            o = out(reg) _,
            offsets = in(reg) $offsets.wrapping_add($depth),
            $($(inout($sum) $sums[$r][$v],)+)+
        )
    };
}

/// Adds all terms to the sums, if there is code for this tile; whether there is.
///
/// # Safety
///
/// The CPU must have AVX2 and FMA; all terms must be readable.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::simd) unsafe fn add<const MR: usize, const NV: usize>(
    tile: &TileOperands<'_, MR>,
    sums: &mut [[__m256; NV]; MR],
) -> bool {
    let &TileOperands {
        ref rows,
        terms,
        panel,
        panel_step,
    } = tile;
    if panel_step != NV as isize * 8 {
        return false;
    }
    macro_rules! tiles {
        ($code:ident $operands:tt) => {
            // SAFETY: the caller vouches for all addresses; nothing is written but the sums.
            unsafe {
                match (MR, NV) {
                    (2, 2) => two_wide!(2 of $code $operands),
                    (3, 2) => two_wide!(3 of $code $operands),
                    (4, 2) => two_wide!(4 of $code $operands),
                    (5, 2) => two_wide!(5 of $code $operands),
                    (6, 2) => two_wide!(6 of $code $operands),
                    (2, 3) => three_wide!(2 of $code $operands),
                    (3, 3) => three_wide!(3 of $code $operands),
                    (4, 3) => three_wide!(4 of $code $operands),
                    _ => return false,
                }
            }
        };
    }
    match terms {
        Terms::Listed(offsets) => {
            let depth = offsets.len();
            let offsets = offsets.as_ptr();
            tiles!(listed (rows offsets panel depth sums));
        }
        Terms::Spaced { step: 1, depth } => tiles!(dense (rows panel depth sums)),
        Terms::Spaced { step, depth } if (1..MR).all(|r| rows[r] == rows[0].wrapping_add(r)) => {
            let left = rows[0];
            tiles!(side_by_side (left step panel depth sums));
        }
        Terms::Spaced { .. } => return false,
    }
    true
}
