//! ffi's build script. Renders the C header in memory and compares it with the committed `include/fastjob.h`: the build
//! writes nothing into the tree unless `FASTJOB_HEADER=update` asks for it. Also names the library for the linker.
//!
//! `FASTJOB_HEADER`: `update` writes the header, `check` fails the build if it differs, unset warns.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=FASTJOB_HEADER");
    for path in ["../build.rs", "../include/fastjob.h", "cbindgen.toml", "src/c"] {
        println!("cargo:rerun-if-changed={path}");
    }
    name_the_library();
    let ffi = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let header = ffi.join("../include/fastjob.h");
    settle(&header, &render(&ffi)?)
}

/// The soname carries the major number of the ABI. `nodelete`: threads of the library and destructors of thread-local
/// values may outlive a dlclose.
fn name_the_library() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfastjob.so.1");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

fn render(ffi: &Path) -> Result<String, Box<dyn Error>> {
    let config = cbindgen::Config::from_file(ffi.join("cbindgen.toml"))?;
    let mut text = Vec::new();
    // The modules follow in the order in which this file names them.
    let entries = cbindgen::Builder::new().with_config(config).with_src(ffi.join("src/c/mod.rs"));
    entries.generate()?.write(&mut text);
    Ok(String::from_utf8(text)?)
}

fn settle(header: &Path, rendered: &str) -> Result<(), Box<dyn Error>> {
    let committed = fs::read_to_string(header).unwrap_or_default();
    if committed == rendered {
        return Ok(());
    }
    match env::var("FASTJOB_HEADER").as_deref() {
        Ok("update") => Ok(fs::write(header, rendered)?),
        Ok("check") => {
            Err("include/fastjob.h is not what ffi/src/c says: build with FASTJOB_HEADER=update".into())
        }
        _ => {
            println!(
                "cargo:warning=include/fastjob.h is not what ffi/src/c says: build with FASTJOB_HEADER=update"
            );
            Ok(())
        }
    }
}
