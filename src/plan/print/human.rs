//! Numbers for people.

/// A number of bytes in binary units.
pub fn bytes(n: f64) -> String {
    scaled(n, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 0)
}

/// A whole number: written out while short, else with a power of ten.
pub fn count(n: f64) -> String {
    scaled(n, 1000.0, &["", "k", "M", "G", "T"], 1)
}

fn scaled(n: f64, base: f64, units: &[&str], plain: usize) -> String {
    let mut n = n;
    let mut unit = 0;
    if plain > 0 && n < 1e5 {
        return format!("{n:.0}");
    }
    while n >= base && unit + 1 < units.len() {
        n /= base;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or("");
    if n >= 1e5 {
        return format!("{n:.1e} {name}").trim_end().to_string();
    }
    let digits = usize::from(unit > 0 && n < 100.0);
    format!("{n:.digits$} {name}").trim_end().to_string()
}
