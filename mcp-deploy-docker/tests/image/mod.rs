//! An image of the mock server, made of its binary and the libraries that it needs: no registry takes part.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use mcp_deploy_core::BoxError;
use tar::{Builder, Header};

/// The image's name.
pub(crate) const NAME: &str = "mcp-deploy-test/mock-server:latest";

/// Puts the image onto the daemon.
pub(crate) async fn import(docker: &Docker) -> Result<(), BoxError> {
    let server = super::binaries()?.join("mcp-mock-server");
    if !server.is_file() {
        let reason = format!("{} is not built: `cargo build --workspace` makes it", server.display());
        return Err(reason.into());
    }
    let (repository, tag) = NAME.rsplit_once(':').unwrap_or((NAME, "latest"));
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
    let body = bollard::body_full(archive(&server)?.into());
    let mut steps = std::pin::pin!(docker.create_image(Some(options), Some(body), None));
    while let Some(step) = steps.next().await {
        step?;
    }
    Ok(())
}

fn archive(server: &Path) -> Result<Vec<u8>, BoxError> {
    let mut archive = Builder::new(Vec::new());
    // The daemon knows no sparse files.
    archive.sparse(false);
    for directory in ["tmp/", "data/"] {
        let mut header = Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o1777);
        header.set_size(0);
        archive.append_data(&mut header, directory, std::io::empty())?;
    }
    archive.append_file("mcp-mock-server", &mut File::open(server)?)?;
    for library in libraries(server)? {
        let inside = library.strip_prefix("/")?.to_owned();
        archive.append_file(inside, &mut File::open(std::fs::canonicalize(&library)?)?)?;
    }
    Ok(archive.into_inner()?)
}

/// What the dynamic linker would load; none for a static binary.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let listed = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(text.lines().filter_map(path).collect())
}
