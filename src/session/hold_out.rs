//! `hold_out`: cells that are kept from a fit, to measure it by.

use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::Host;
use super::bind::{Beside, mask_file};
use crate::data::mask::{self, Factor, Mask};
use crate::data::{MaskFile, Tensor};
use crate::model::declarations::Declarations;
use crate::model::predicate::{self, Predicate};
use crate::model::{Mode, Scope, constant};
use crate::report::results::HeldOut;
use crate::text::ast::{Binary, Expr, ExprKind, FitOption, OptionValue};
use crate::text::{Code, Diagnostic, Span};

/// Which cells are held out.
#[derive(Debug, Clone)]
pub struct HoldOut {
    which: Which,
    /// Sets what is drawn here apart from what is drawn elsewhere with the same seed.
    stream: u64,
    span: Span,
}

#[derive(Debug, Clone)]
enum Which {
    /// This share of the observed cells, drawn with this seed.
    Share(f64, Option<u64>),
    /// Those that fail one of these.
    Where(Vec<Predicate>),
    /// Those that a file marks; paths start from that of the program.
    File { program: String, file: MaskFile },
}

/// Reads the option; `modes` are those of the data, and `base` is the program that paths start from.
///
/// # Errors
/// MBA105 when it says something else, and modes that are not those of the data.
pub fn read(
    option: &FitOption,
    modes: &[String],
    declarations: &Declarations,
    base: &str,
) -> Result<HoldOut, Vec<Diagnostic>> {
    let own: Vec<&str> = modes.iter().map(String::as_str).collect();
    let which = match option.values.as_slice() {
        [OptionValue::From(file)] => {
            Which::File { program: base.into(), file: mask_file(file, &own, declarations)? }
        }
        _ => said(option, &own, declarations).map_err(|d| vec![d])?,
    };
    Ok(HoldOut { which, stream: 0, span: option.span })
}

/// A share or a condition.
fn said(option: &FitOption, own: &[&str], declarations: &Declarations) -> Result<Which, Diagnostic> {
    let usage = || {
        Diagnostic::new(Code::MBA105, "this is not what `hold_out` takes")
            .at(option.span, "here")
            .help("write `hold_out 10% seed 1`, `hold_out where …` or `hold_out from \"mask.npy\"`")
    };
    let is_seed = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if n == "seed");
    let names = declarations.names();
    let share = |e: &Expr| -> Result<f64, Diagnostic> {
        let x = constant::number(e, &names)?;
        if x > 0.0 && x < 1.0 {
            return Ok(x);
        }
        Err(Diagnostic::new(Code::MBA105, format!("a share of {x} cannot be held out"))
            .at(e.span, "must lie between 0 and 1")
            .help("write a percentage, such as `10%`"))
    };
    Ok(match option.values.as_slice() {
        [OptionValue::Value(x)] => Which::Share(share(x)?, None),
        [OptionValue::Value(x), OptionValue::Value(word), OptionValue::Value(seed)] if is_seed(word) => {
            Which::Share(share(x)?, Some(constant::whole(seed, 0, &names)? as u64))
        }
        [OptionValue::Where(condition)] => Which::Where(predicate::factors(condition, false, own, &names)?),
        // `seed -1` is read as `seed` less 1
        [OptionValue::Value(_), OptionValue::Value(Expr { kind: ExprKind::Binary(sign, word, _), span })]
            if matches!(sign, Binary::Subtract | Binary::Add) && is_seed(word) =>
        {
            return Err(Diagnostic::new(Code::MBA105, "the seed of `hold_out` has a sign")
                .at(*span, "a whole number from 0 up is needed, without a sign")
                .help("write `hold_out 10% seed 1`"));
        }
        _ => return Err(usage()),
    })
}

/// Which cells of a tensor are observed; none when they are too many to be listed.
pub(super) fn observed(tensor: &Tensor) -> Option<Arc<[bool]>> {
    let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let none = Mask { factors: Vec::new() };
    tensor.mask.as_deref().unwrap_or(&none).over(&Scope::all(sizes.len()), &sizes)
}

/// Some cells were to be held out of more than can be listed.
pub(super) fn too_many(tensor: &Tensor, span: Span, otherwise: &str) -> Diagnostic {
    Diagnostic::new(Code::MBA504, format!("`{}` has too many cells to hold some out", tensor.name))
        .at(span, format!("{} cells", tensor.cells()))
        .help(format!("merge levels, or {otherwise}"))
}

impl HoldOut {
    /// The same, drawn apart from others with its seed.
    #[must_use]
    pub fn apart(self, stream: u64) -> HoldOut {
        HoldOut { stream, ..self }
    }

    /// The modes of each factor that it adds to the mask of data over so many modes.
    pub fn scopes(&self, modes: usize) -> Vec<Scope> {
        match &self.which {
            Which::Share(..) => vec![Scope::all(modes)],
            Which::File { file, .. } => vec![file.axes.iter().copied().collect()],
            Which::Where(list) => {
                let scope = |p: &Predicate| if p.of_value { Scope::all(modes) } else { p.scope.clone() };
                list.iter().map(scope).collect()
            }
        }
    }

    /// Hides the cells.
    ///
    /// # Errors
    /// A mask file that does not fit, conditions that mean nothing, and nothing or everything held out.
    pub fn apply(
        &self,
        tensor: &Arc<Tensor>,
        seed: u64,
        host: &dyn Host,
    ) -> Result<(Arc<Tensor>, HeldOut), Vec<Diagnostic>> {
        let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
        let all = Scope::all(sizes.len());
        let before =
            observed(tensor).ok_or_else(|| vec![too_many(tensor, self.span, "leave `hold_out` out")])?;
        let factors = match &self.which {
            Which::Share(share, own) => {
                let total = before.iter().filter(|o| **o).count();
                let mut wanted = (share * total as f64).round() as usize;
                let mut left = total;
                let mut stream = Xoshiro256PlusPlus::seed_from_u64(
                    own.unwrap_or(seed) ^ self.stream.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                );
                // selection sampling: exactly so many, each set as likely (Knuth, TAOCP 2, §3.4.2, S)
                let kept = before.iter().map(|seen| {
                    if !seen {
                        return true;
                    }
                    let u = (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                    let take = u * (left as f64) < wanted as f64;
                    left -= 1;
                    wanted -= usize::from(take);
                    !take
                });
                vec![Factor::new(all.clone(), sizes.clone(), kept.collect::<Vec<_>>(), self.span)]
            }
            Which::Where(list) => {
                list.iter().map(|p| mask::by_predicate(p, tensor)).collect::<Result<_, _>>()?
            }
            Which::File { program, file } => {
                let file = MaskFile { path: host.beside(program, &file.path), ..file.clone() };
                vec![mask::hidden_by_file(&Beside { host }, &file, &tensor.modes)?]
            }
        };
        let hidden = mask::hide(tensor, factors, self.span)?;
        let after = observed(&hidden).unwrap_or_default();
        let both = before.iter().zip(after.iter()).enumerate();
        let places: Vec<usize> = both.filter(|(_, (b, a))| **b && !**a).map(|(k, _)| k).collect();
        if places.is_empty() {
            return Err(vec![
                Diagnostic::new(Code::MBA457, format!("no observed cell of `{}` is held out", tensor.name))
                    .at(self.span, "hides nothing")
                    .help(match &self.which {
                        Which::Share(..) => "hold out more",
                        Which::Where(_) => "write a condition that holds for cells that are observed",
                        Which::File { .. } => {
                            "true marks the cells to hold out, and those have to be observed"
                        }
                    }),
            ]);
        }
        let mut values = vec![0.0; before.len()];
        tensor.each_cell(|cell, x| {
            values[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
        });
        let values: Arc<[f64]> = places.iter().map(|k| values[*k]).collect();
        Ok((Arc::new(hidden), HeldOut { places: places.into(), values }))
    }
}
