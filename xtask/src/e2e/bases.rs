//! Base images made of this machine's own packages, so that templates are built where no image can be pulled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// What is in an image, beside the packages that these need in turn.
struct Base<'a> {
    image: &'a str,
    /// Packages of Debian, installed here.
    packages: &'a [&'a str],
    /// Directories that are added: the one here, the one in the image, and what of it is taken.
    directories: Vec<(PathBuf, &'a str, &'a [&'a str])>,
    environment: &'a [&'a str],
}

/// Rust as it is installed here, and the crates that this workspace has been built with: nothing is fetched.
pub(super) fn rust(sh: &Shell) -> Result<&'static str> {
    let image = "mcp-deploy-test/rust:1";
    let root = scratch(sh, "rust")?;
    sh.write_file(root.join("cargo/config.toml"), "[net]\noffline = true\n")?;
    // The name that cargo calls the linker by is made at the installation, and belongs to no package.
    sh.create_dir(root.join("usr/bin"))?;
    cmd!(sh, "ln -sf gcc").arg(root.join("usr/bin/cc")).run()?;
    let toolchain = PathBuf::from(cmd!(sh, "rustc --print sysroot").read()?);
    let base = Base {
        image,
        packages: &["gcc", "libc6-dev", "dash", "coreutils"],
        directories: vec![
            (toolchain, "usr/local", &["bin/cargo", "bin/rustc", "lib"]),
            (cargo_home()?, "cargo", &["registry/index", "registry/cache"]),
            (root, "", &["."]),
        ],
        // What is tried is the Dockerfile and the server, not the optimizer.
        environment: &[
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "CARGO_HOME=/cargo",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL=0",
            "CARGO_PROFILE_RELEASE_LTO=off",
            "CARGO_PROFILE_RELEASE_STRIP=none",
        ],
    };
    base.make(sh)?;
    Ok(image)
}

/// Python of Debian, and the packages that `requirements` names: nothing is fetched.
pub(super) fn python(sh: &Shell, requirements: &Path) -> Result<&'static str> {
    let image = "mcp-deploy-test/python:1";
    let root = scratch(sh, "python")?;
    let environment = root.with_file_name("python-environment");
    // Debian's own, whatever else is on the `PATH`: the packages have to fit it.
    cmd!(sh, "/usr/bin/python3 -m venv {environment}").run().context("Debian's `python3-venv` has it")?;
    let wheels = root.join("wheels");
    cmd!(sh, "{environment}/bin/pip download --quiet --dest {wheels} --requirement {requirements}").run()?;
    let base = Base {
        image,
        packages: &["python3", "python3-venv", "dash", "coreutils"],
        directories: vec![(root, "", &["."])],
        environment: &["PATH=/usr/bin:/bin", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"],
    };
    base.make(sh)?;
    Ok(image)
}

impl Base<'_> {
    fn make(&self, sh: &Shell) -> Result<()> {
        let Self { image, packages, directories, environment } = self;
        let directory = Workspace::load(sh)?.target_directory.join("e2e/bases");
        let (list, archive) = (directory.join("files"), directory.join("image.tar"));
        sh.write_file(&list, files(sh, packages)?.into_iter().map(|file| file + "\0").collect::<String>())?;
        cmd!(sh, "tar --create --file {archive} --directory / --no-recursion --null --files-from {list}")
            .run()?;
        for (from, to, parts) in directories {
            // The names, and not what symbolic links say.
            let renamed = format!("s,^,{to}/,S");
            cmd!(sh, "tar --append --file {archive} --directory {from} --transform {renamed}")
                .args(*parts)
                .run()?;
        }
        let changes =
            environment.iter().flat_map(|variable| ["--change".to_owned(), format!("ENV {variable}")]);
        cmd!(sh, "docker import").args(changes).arg(&archive).arg(image).ignore_stdout().run()?;
        sh.remove_path(&archive)?;
        Ok(())
    }
}

/// An empty directory, with the `/tmp` of an image.
fn scratch(sh: &Shell, name: &str) -> Result<PathBuf> {
    let root = Workspace::load(sh)?.target_directory.join("e2e/bases").join(name);
    sh.remove_path(&root)?;
    let tmp = root.join("tmp");
    sh.create_dir(&tmp)?;
    cmd!(sh, "chmod 1777 {tmp}").run()?;
    Ok(root)
}

fn cargo_home() -> Result<PathBuf> {
    let of_user = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(of_user).context("there is no `CARGO_HOME`")
}

/// The files of packages and of what they need, relative to `/`, each where it really lies.
fn files(sh: &Shell, packages: &[&str]) -> Result<BTreeSet<String>> {
    let mut files: BTreeSet<String> =
        ["bin", "lib", "lib64", "sbin"].into_iter().filter(|link| is_link(link)).map(str::to_owned).collect();
    let all = with_needed(sh, packages)?;
    let listed = cmd!(sh, "dpkg-query --listfiles {all...}").read()?;
    for file in listed.lines().map(Path::new).filter(|file| file.is_absolute() && file.parent().is_some()) {
        let is_text = file.starts_with("/usr/share/doc") || file.starts_with("/usr/share/man");
        let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { continue };
        let Ok(place) = fs::canonicalize(directory).map(|directory| directory.join(name)) else { continue };
        if !is_text && place.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            files.insert(place.strip_prefix("/")?.to_str().context("a file's name is no UTF-8")?.to_owned());
        }
    }
    Ok(files)
}

fn is_link(name: &str) -> bool {
    Path::new("/").join(name).is_symlink()
}

/// The packages, and those that they depend on, as far as they are installed.
fn with_needed(sh: &Shell, packages: &[&str]) -> Result<BTreeSet<String>> {
    let format = "${Package}\t${db:Status-Status}\t${Pre-Depends},${Depends}\n";
    let all = cmd!(sh, "dpkg-query --show --showformat {format}").quiet().read();
    let all = all.context("the base images are made of Debian's packages")?;
    let mut found = BTreeSet::new();
    let mut wanted: Vec<&str> = packages.to_vec();
    while let Some(name) = wanted.pop() {
        let line = all.lines().find(|line| line.split('\t').take(2).eq([name, "installed"]));
        let Some(line) = line.filter(|_| !found.contains(name)) else { continue };
        found.insert(name.to_owned());
        let needed = line.rsplit('\t').next().unwrap_or_default();
        let names =
            needed.split([',', '|']).map(|needed| needed.split(['(', ':']).next().unwrap_or_default().trim());
        wanted.extend(names.filter(|name| !name.is_empty()));
    }
    match packages.iter().find(|name| !found.contains(**name)) {
        Some(missing) => bail!("the package `{missing}` is not installed: apt-get install {missing}"),
        None => Ok(found),
    }
}
