//! Epilogues of the kind that a kernel applies in registers.

use crate::{
    code::{Binary, Code, Instruction},
    plan::{ConvPoolStep, MapStep, View},
};

/// To add a bias to each channel, to rectify, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finish {
    /// One number for each channel, `[O]`.
    pub bias: Option<View>,
    /// Whether negative results become zero.
    pub rectify: bool,
}

impl ConvPoolStep {
    /// What the epilogue does, if it is of this kind.
    pub fn finish(&self) -> Option<Finish> {
        let (map, output) = (self.epilogue.as_ref()?, &self.output);
        let [written] = &map.outputs[..] else {
            return None;
        };
        let (rectify, terms) = finishing_code(&map.code)?;
        let in_place = |view: &&View| {
            *view == written && (view.buffer, view.offset) == (output.buffer, output.offset)
        };
        let own = map.inputs.iter().find(in_place)?;
        let mut others = map.inputs.iter().filter(|view| !in_place(view));
        let bias = others.next();
        if others.next().is_some() || map.inputs.len() != terms {
            return None;
        }
        let channels = (*output.shape.get(3)?, *output.strides.get(3)?);
        Finish::new(map, rectify, terms, own, bias, channels)
    }
}

impl Finish {
    /// What elementwise code makes of the images `own`, `[N, Y, X, C]`, if it is of this kind, and where that goes.
    pub fn of(map: &MapStep, own: &View) -> Option<(Self, View)> {
        let [written] = &map.outputs[..] else {
            return None;
        };
        let (rectify, terms) = finishing_code(&map.code)?;
        let mut others = map.inputs.iter().filter(|&view| view != own);
        let bias = others.next();
        let is_alone = others.next().is_none() && map.inputs.len() == terms;
        let is_own = map.inputs.contains(own) && map.shape == own.shape;
        let channels = (*own.shape.get(3)?, *own.strides.get(3)?);
        let finish = Self::new(map, rectify, terms, own, bias, channels)?;
        (is_alone && is_own).then(|| (finish, written.clone()))
    }

    fn new(
        map: &MapStep,
        rectify: bool,
        terms: usize,
        own: &View,
        bias: Option<&View>,
        channels: (usize, isize),
    ) -> Option<Self> {
        let Some(bias) = bias else {
            let finish = Finish {
                bias: None,
                rectify,
            };
            return (terms == 1).then_some(finish);
        };
        // The bias may change along the axis of the channels alone.
        let mut step = 0;
        for (axis, &length) in map.shape.iter().enumerate() {
            if length != 1 && bias.strides[axis] != 0 {
                if (length, own.strides[axis]) != channels {
                    return None;
                }
                step = bias.strides[axis];
            }
        }
        let bias = View {
            buffer: bias.buffer,
            offset: bias.offset,
            shape: vec![channels.0],
            strides: vec![step],
        };
        Some(Finish {
            bias: Some(bias),
            rectify,
        })
    }
}

/// Whether code ends in `max(x, 0)`, and how many inputs x is the sum of, one or two.
fn finishing_code(code: &Code) -> Option<(bool, usize)> {
    let at = |value: usize| code.instructions.get(value).copied();
    let &[mut result] = &code.results[..] else {
        return None;
    };
    let mut rectify = false;
    if let Instruction::Binary(Binary::Maximum, x, y) = at(result)? {
        let zero = |value| at(value) == Some(Instruction::Constant(0.0));
        result = match (zero(x), zero(y)) {
            (false, true) => x,
            (true, false) => y,
            _ => return None,
        };
        rectify = true;
    }
    match at(result)? {
        Instruction::Load(0) => Some((rectify, 1)),
        Instruction::Binary(Binary::Add, x, y) => match (at(x)?, at(y)?) {
            (Instruction::Load(a), Instruction::Load(b)) if a + b == 1 => Some((rectify, 2)),
            _ => None,
        },
        _ => None,
    }
}
