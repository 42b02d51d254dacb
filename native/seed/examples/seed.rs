//! Writes a cloud-init seed: `seed FILE HOSTNAME USER PASSWORD`.

use sampan_seed::{PasswordHash, Seed, User};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, hostname, name, password] = args.as_slice() else {
        return Err("usage: seed FILE HOSTNAME USER PASSWORD".into());
    };
    let password = Some(PasswordHash::new(password)?);
    let user = User { name: name.clone(), password, ssh_keys: Vec::new(), sudo: true, shell: None };
    let seed = Seed {
        instance: hostname.replace('.', "-"),
        hostname: hostname.clone(),
        user: Some(user),
        run: vec![
            "echo \"seed is read: $(hostname) $(getent passwd 1000 | cut -d: -f1)\" > /dev/console".into(),
        ],
        ..Seed::default()
    };
    std::fs::write(file, seed.image()?)?;
    Ok(())
}
