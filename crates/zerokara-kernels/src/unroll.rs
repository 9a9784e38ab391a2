//! Loops of a constant few rounds, unrolled before any optimisation.

/// `each!(i < N { .. })` runs the block with the constant `i` = 0, 1, .., `N - 1`; `N` is a constant of at most 9.
///
/// Sums that a kernel means to hold in registers must be indexed by constants. A `for` loop gives these only if the
/// compiler unrolls it in time; where it does not, every sum lives in memory.
macro_rules! each {
    ($i:ident < $n:ident $body:block) => {
        $crate::unroll::each!(@round $i $n $body 0 1 2 3 4 5 6 7 8)
    };
    (@round $i:ident $n:ident $body:block $($round:literal)*) => {
        $(
            // Rounds beyond the last are removed, whatever they would index.
            #[allow(non_upper_case_globals, unconditional_panic, clippy::out_of_bounds_indexing)]
            if $round < $n {
                const $i: usize = $round;
                $body
            }
        )*
    };
}
pub(crate) use each;
