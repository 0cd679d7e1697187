//! `mba new`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::host;
use super::output::complain;
use super::{options::Colour, output::Output};

/// Arguments of `mba new`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to make
    name: PathBuf,
}

const PROGRAM: &str = include_str!("new/model.mba");
const DATA: &str = include_str!("new/commuters.csv");

/// Makes a folder with a program that runs, its data and a test.
pub fn run(arguments: &Arguments) -> u8 {
    let folder = &arguments.name;
    if folder.exists() {
        complain(&format!("`{}` exists already; choose another name", folder.display()));
        return 2;
    }
    let files: [(&str, &str); 2] = [("model.mba", PROGRAM), ("commuters.csv", DATA)];
    let made = std::fs::create_dir_all(folder).and_then(|()| {
        files.iter().try_for_each(|(name, text)| host::write(&folder.join(name), text.as_bytes()))
    });
    if let Err(error) = made {
        complain(&format!("`{}` cannot be made: {error}", folder.display()));
        return 3;
    }
    let program: PathBuf = Path::new(folder).join("model.mba");
    Output::new(Colour::Auto).print(&format!(
        "made {}; try: mba run {}\n",
        folder.display(),
        program.display()
    ));
    0
}
