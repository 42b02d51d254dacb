//! Downloads one file: `fetch URL FILE [sha256:DIGEST | -] [BYTES THAT STAY FREE]`. Plain http is allowed; Ctrl-C and a kill lose at most the
//! last two seconds, and the next call goes on from there.

use anyhow::{Context, Result};
use sampan_download::{Queue, Request, Settings};
use std::time::Duration;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().context("usage: fetch URL FILE [sha256:DIGEST]")?;
    let to = args.next().context("usage: fetch URL FILE [sha256:DIGEST]")?;
    let mut request = Request::new(url, to).allow_http();
    if let Some(digest) = args.next().filter(|digest| digest != "-") {
        request = request.digest(digest.parse()?);
    }
    let reserve = args.next().map_or(Ok(0), |bytes| bytes.parse())?;
    // Small pieces and checkpoints show what they do on small files.
    let settings = Settings { piece: 1 << 16, checkpoint: 1 << 16, reserve, ..Settings::default() };
    let queue = Queue::start(settings)?;
    let download = queue.add(request)?;
    while download.wait(Duration::from_millis(200))?.is_none() {
        let progress = download.progress()?;
        println!("{} of {} bytes", progress.loaded, progress.total.map_or("?".into(), |t| t.to_string()));
    }
    Ok(())
}
