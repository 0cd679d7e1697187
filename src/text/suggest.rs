//! "Did you mean": the nearest of a list of names.

use super::{Diagnostic, Span};

/// The candidate most like `name`, if any is like it at all.
///
/// Case and accents of spelling count little: `Hair` suggests `hair`. Ties go to the earlier one.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let other = candidate.to_lowercase();
        let mut score =
            if other == wanted { 2.0 } else { strsim::normalized_damerau_levenshtein(&wanted, &other) };
        // of two that are as near, letters exchanged are likelier than letters lost
        if score >= 0.5 && other.len() == wanted.len() {
            score += 0.01;
        }
        if best.is_none_or(|(s, _)| score > s) {
            best = Some((score, candidate));
        }
    }
    best.filter(|(score, candidate)| {
        // one slip is forgiven in the shortest names, where it weighs more than the score allows
        *score > 0.5 || (name.len() > 1 && strsim::damerau_levenshtein(name, candidate) == 1)
    })
    .map(|(_, candidate)| candidate)
}

/// The report on a name of which there is a closed list: the nearest of them with a fix, else what there is.
/// `kind` is what it would have named, `before` what stands before it in the text, such as `by `.
pub fn instead<'a>(
    report: Diagnostic,
    (name, at): (&str, Span),
    names: impl IntoIterator<Item = &'a str>,
    (kind, before): (&str, &str),
    all: impl FnOnce() -> String,
) -> Diagnostic {
    match nearest(name, names) {
        Some(near) => report
            .at(at, format!("did you mean `{near}`?"))
            .help(format!("write `{before}{near}`"))
            .replace(at, near, format!("write `{near}`")),
        None => report.at(at, format!("unknown {kind}")).help(all()),
    }
}

/// [`instead`] of a result: one of `names`, or of `others`, which are suggested but not listed.
pub fn result<'a>(
    report: Diagnostic,
    (name, at): (&str, Span),
    names: impl IntoIterator<Item = &'a str>,
    others: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let names: Vec<&str> = names.into_iter().collect();
    // a name that is right by itself was written where it means nothing
    let near = names.iter().copied().chain(others).filter(|n| *n != name);
    instead(report, (name, at), near, ("result", ""), || format!("the results are {}", list(&names)))
}

/// A list as it is read aloud: "`a`, `b` and `c`".
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{}`", n.as_ref())).collect();
    match quoted.split_last() {
        None => "none".into(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_likely_name() {
        assert_eq!(nearest("hari", ["eye", "hair", "sex"]), Some("hair"));
        assert_eq!(nearest("Hair", ["chair", "hair"]), Some("hair"));
        assert_eq!(nearest("sx", ["sex", "eye"]), Some("sex"));
        assert_eq!(nearest("temperature", ["hair", "eye"]), None);
        assert_eq!(nearest("modle", ["mode", "model"]), Some("model"));
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("nosuch", ["cosh"]), None);
    }

    #[test]
    fn lists_read_aloud() {
        assert_eq!(list::<&str>(&[]), "none");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
