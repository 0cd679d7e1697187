//! "Did you mean".

/// The candidate closest to `name`, when it is close enough to have been meant.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|c| {
            let candidate = c.to_lowercase();
            let length = wanted.chars().count().max(candidate.chars().count());
            // one slip is likely even in a word too short for the measure of likeness
            let slip = length >= 3 && strsim::osa_distance(&wanted, &candidate) <= 1;
            let score = strsim::jaro_winkler(&wanted, &candidate);
            (slip || score >= 0.8).then_some((if slip { score + 1.0 } else { score }, c))
        })
        // the first of equals, so that the answer follows the order of the file
        .fold(None, |best: Option<(f64, &str)>, x| match best {
            Some(b) if b.0 >= x.0 => Some(b),
            _ => Some(x),
        })
        .map(|(_, c)| c)
}

/// Names in backticks, the first few of them, and how many more there are.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{}`", clip(n))).collect();
    let rest = names.len().saturating_sub(SHOWN);
    let tail = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// Text from a file, short enough to be shown on a line and without what would upset a terminal.
pub(crate) fn clip(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut clipped: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        clipped.push('…');
    }
    clipped
}

/// `3 rows`, `1 row`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `another cell`, `4 other cells`.
pub(crate) fn others(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("another {one}") } else { format!("{n} other {many}") }
}
