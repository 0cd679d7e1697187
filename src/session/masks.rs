//! What a session knows of unknown cells before any cell is read.

use num_bigint::BigUint;

use super::{Origin, PlannedFit, Session};
use crate::data::hidden::{self, Hiding, Part};
use crate::model::Mode;

/// One part of the mask of a tensor, in words.
#[derive(Debug, Clone)]
pub struct MaskPart {
    /// What hides cells, as it is written.
    pub what: String,
    /// The modes it is over, in brackets.
    pub over: String,
    /// How many cells it hides; none where that is seen when the data are read.
    pub missing: Option<BigUint>,
}

impl Session {
    fn mask_parts(&self, tensor: &str) -> Option<(Vec<Part>, Vec<Mode>)> {
        let bound = self.bound.get(tensor)?;
        let Origin::Stored(request, _) = &bound.origin else { return None };
        let modes: Vec<Mode> =
            bound.modes.iter().map(|m| self.known.get(m).cloned()).collect::<Option<_>>()?;
        Some((hidden::parts(request, &modes), modes))
    }

    /// The parts of the mask of a tensor: a cell is missing when one of them hides it.
    pub fn masks(&self, tensor: &str) -> Vec<MaskPart> {
        let Some((parts, modes)) = self.mask_parts(tensor) else { return Vec::new() };
        let one = |part: Part| {
            let names: Vec<&str> = part.scope.iter().map(|m| modes[m].name.as_str()).collect();
            MaskPart {
                what: match part.source {
                    Hiding::Where(span, meaning) => {
                        format!("{} where {}", meaning.word(), self.sources.slice(span))
                    }
                    Hiding::File(path, None, meaning) => format!("{} from \"{path}\"", meaning.word()),
                    Hiding::File(path, Some(key), meaning) => {
                        format!("{} from \"{path}\" key \"{key}\"", meaning.word())
                    }
                    Hiding::Literal => "missing in the literal".into(),
                },
                over: format!("[{}]", names.join(" ")),
                missing: part.missing,
            }
        };
        parts.into_iter().map(one).collect()
    }

    /// How many cells of a tensor are missing; none where that is seen when the data are read.
    pub fn missing(&self, tensor: &str) -> Option<BigUint> {
        let (parts, modes) = self.mask_parts(tensor)?;
        hidden::together(&parts, &modes)
    }

    /// Whether some cells of the data of a fit take no part in it.
    pub fn is_masked(&self, planned: &PlannedFit) -> bool {
        let masked = |tensor: &str| match self.bound.get(tensor).map(|b| &b.origin) {
            Some(Origin::Stored(request, _)) => !crate::data::mask::scopes(request).is_empty(),
            _ => false,
        };
        match &planned.joint {
            Some(joint) => joint.members.iter().any(|m| m.hold_out.is_some() || masked(&m.tensor)),
            None => planned.hold_out.is_some() || masked(&planned.tensor),
        }
    }
}
