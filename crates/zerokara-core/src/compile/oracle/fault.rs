//! Planted miscompiles: the random-graph fuzzer must find every one of them. Outside of this crate's tests
//! [`planted`] is always false and costs nothing.

macro_rules! faults {
    (logical { $($logical:ident),* $(,)? } behind { $($behind:ident),* $(,)? }) => {
        /// A rule of the compiler that a test breaks on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(test), allow(dead_code))]
        pub(crate) enum Fault {
            $($logical,)*
            $($behind),*
        }

        #[cfg(test)]
        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$logical,)* $(Fault::$behind),*];

            /// Whether it makes the logical plan wrong; the others break what becomes of a right one.
            pub fn is_logical(self) -> bool {
                matches!(self, $(Fault::$logical)|*)
            }
        }
    };
}

faults! {
    logical {
        MergeIgnoresAttributes,
        MergeIgnoresInputOrder,
        InlinesSharedValue,
        ForgetsMaskOfPooledRelu,
        ForgetsSumAfterPooling,
        FlattensWeightsAsTheyLie,
        RecomputesBackwards,
        JoinsReductionsOfOtherAxes,
    }
    behind {
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
        SlicesStartAtTheFirst,
        WindowsSwapAxes,
        ConvPoolSwapsFilterAxes,
        ConvPoolForgetsMarks,
        JoinedReductionsSwapResults,
        SwapsReductionKinds,
        StatisticsOfOtherAxes,
        ReductionForgetsEpilogue,
        BytesDoNotWrap,
        TruthsStayNumbers,
    }
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
