//! Generates the protocol's Rust code from `fastjob.proto` when the feature `protocol` is on. No `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "src/protocol/fastjob.proto";
    println!("cargo:rerun-if-changed={PROTO}");
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PROTOCOL").is_some() {
        let files = protox::compile([PROTO], ["src/protocol"])?;
        tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    }
    Ok(())
}
