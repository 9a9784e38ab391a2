//! Planted miscompiles: the random-graph fuzzer must find every one of them. Outside of this crate's tests
//! [`planted`] is always false and costs nothing.

macro_rules! faults {
    ($($name:ident),* $(,)?) => {
        /// A rule of the compiler that a test breaks on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(test), allow(dead_code))]
        pub(crate) enum Fault {
            $($name),*
        }

        #[cfg(test)]
        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name),*];
        }
    };
}

faults! {
    MergeIgnoresAttributes,
    MergeIgnoresInputOrder,
    DropsSubtractedConstant,
    DropsAddedConstant,
    MergesOppositeComparisons,
    SwapsSelect,
    NegatesConstants,
    PermuteBackwards,
    BroadcastAlignsLeft,
    SliceForgetsStart,
    SliceForgetsDirection,
    ReshapeForgetsOrder,
    OrderForgotten,
    ReduceWrongAxis,
    ReduceForgetsWalkingOrder,
    TransposedProductNotSwapped,
    BatchRepeatsFirstMatrix,
    ConvSwapsStride,
    ConvGradientUsesForwardFilters,
    PooledOrderMislabelled,
    AssembleForgetsOffset,
    ArgReduceWrongAxis,
    StoreBeforeReaders,
    LivesEndTooEarly,
    FreesGapsTooEarly,
    SharesBufferStillRead,
    SharesBufferReadTwice,
    WritesOverRawValueStillWanted,
    InlinesSharedValue,
    ForgetsMaskOfPooledRelu,
    ForgetsSumAfterPooling,
    FlattensWeightsAsTheyLie,
    SlicesStartAtTheFirst,
    WindowsSwapAxes,
    ConvPoolSwapsFilterAxes,
    ConvPoolForgetsMarks,
    RecomputesBackwards,
    JoinsReductionsOfOtherAxes,
    JoinedReductionsSwapResults,
    SwapsReductionKinds,
    StatisticsOfOtherAxes,
    ReductionForgetsEpilogue,
    BytesDoNotWrap,
    TruthsStayNumbers,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Runs `body` with a fault planted on this thread.
#[cfg(test)]
pub(crate) fn with_fault<T>(fault: Option<Fault>, body: impl FnOnce() -> T) -> T {
    PLANTED.set(fault);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    PLANTED.set(None);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether this fault is planted.
#[cfg(test)]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether this fault is planted: never, outside of tests.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn planted(_: Fault) -> bool {
    false
}
