//! The standard library: `.mba` files that travel inside the binary. One line each.

/// A module: its name after `use`, and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// The name after `use`.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// Every module.
pub const MODULES: &[Module] = &[
    Module { name: "blume_capel", text: include_str!("../../stdlib/blume_capel.mba") },
    Module { name: "clock", text: include_str!("../../stdlib/clock.mba") },
    Module { name: "ising", text: include_str!("../../stdlib/ising.mba") },
    Module { name: "loglinear", text: include_str!("../../stdlib/loglinear.mba") },
    Module { name: "markov", text: include_str!("../../stdlib/markov.mba") },
    Module { name: "memory", text: include_str!("../../stdlib/memory.mba") },
    Module { name: "potts", text: include_str!("../../stdlib/potts.mba") },
    Module { name: "spin_glass", text: include_str!("../../stdlib/spin_glass.mba") },
    Module { name: "xy", text: include_str!("../../stdlib/xy.mba") },
];

/// The module of this name.
pub fn find(name: &str) -> Option<Module> {
    MODULES.iter().copied().find(|m| m.name == name)
}
