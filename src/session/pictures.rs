//! `plot`: results as pictures.

use super::{Host, Session};
use crate::report::plot::{self, Figure};
use crate::report::results::{self, Environment};
use crate::text::ast::{Expr, Text};
use crate::text::{Code, Diagnostic, Span, format_expression};

/// Whether a picture can be drawn to a path, by its ending.
pub(super) fn check_path(path: &Text) -> Option<Diagnostic> {
    if plot::drawable(&path.value) {
        return None;
    }
    let endings: Vec<String> = plot::ENDINGS.iter().map(|e| format!("`.{e}`")).collect();
    Some(
        Diagnostic::new(Code::MBA409, format!("cannot draw a picture to `{}`", path.value))
            .at(path.span, "this format is not drawn")
            .note("pictures of pixels need a font to write with, and none comes with `mba`")
            .help(format!(
                "end it in {}, which browsers, text processors and LaTeX take",
                endings.join(", ")
            )),
    )
}

impl Session {
    /// Draws values under each other, and says where to. Without a path the picture is named after the
    /// program; `pictures` counts those.
    pub(super) fn plot(
        &self,
        values: &[Expr],
        path: Option<&Text>,
        span: Span,
        pictures: &mut usize,
        host: &dyn Host,
    ) -> Result<String, Diagnostic> {
        let mut panels = Vec::new();
        for expr in values {
            let value = results::evaluate(expr, self)?;
            let title = format_expression(self.sources.slice(expr.span));
            let names = super::execute::names_of(expr);
            let marks: Vec<_> =
                names.iter().filter_map(|n| self.curve(n)).flat_map(|curve| curve.marks).collect();
            let drawn = Figure::panels(&title, &value, &marks).map_err(|why| {
                Diagnostic::new(Code::MBA336, format!("`{title}` has no picture"))
                    .at(expr.span, why)
                    .help("lines, bars and fields are drawn: of sweeps, tables with numbers, arrays over one or two modes")
            })?;
            panels.extend(drawn);
        }
        let bytes = Figure { panels }.svg().map_err(|why| {
            Diagnostic::new(Code::MBA901, "a picture could not be drawn").at(span, "drawn here").note(why)
        })?;
        let path = path.map_or_else(|| self.picture_name(pictures), |p| p.value.clone());
        host.write(&path, bytes.as_bytes()).map_err(|error| {
            Diagnostic::new(Code::MBA430, format!("`{path}` cannot be written"))
                .at(span, "drawn here")
                .note(error.to_string())
                .note("what was there before is unchanged")
                .help("paths that are written are relative to the current directory")
        })?;
        Ok(path)
    }

    /// `magnet.svg` for the first picture of `magnet.mba`, then `magnet-2.svg`.
    fn picture_name(&self, pictures: &mut usize) -> String {
        *pictures += 1;
        let program = self.units.first().map_or("", |u| u.path.as_str());
        let file = program.rsplit(['/', '\\']).next().unwrap_or("");
        let stem = file.strip_suffix(".mba").filter(|s| !s.is_empty() && *s != "-").unwrap_or("plot");
        if *pictures == 1 { format!("{stem}.svg") } else { format!("{stem}-{pictures}.svg") }
    }
}
