//! Tries all that the guest agent's client can in a Linux guest: `guest_agent SOCKET`, the socket being the host's end of the port,
//! as of `-chardev socket,id=agent,path=SOCKET,server=on,wait=off -device virtio-serial-pci -device
//! virtserialport,chardev=agent,name=org.qemu.guest_agent.0`. The guest's clock is set and its file systems are frozen for a moment.

use sampan_qmp::agent::{Agent, Exec};
use std::error::Error;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let socket = std::env::args_os().nth(1).ok_or("say the socket")?;
    let agent = Agent::connect(UnixStream::connect(socket)?)?;
    let begun = Instant::now();
    while let Err(e) = agent.ping().await {
        println!("{e}");
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(e.into());
        }
    }
    println!("agent {} after {:?}", agent.info().await?.version, begun.elapsed());
    println!("{:?}", agent.os_info().await?.pretty_name);
    for interface in agent.network_interfaces().await? {
        let addresses = interface.ip_addresses.unwrap_or_default();
        let addresses: Vec<_> = addresses.into_iter().map(|a| a.ip_address).collect();
        println!("{}: {}", interface.name, addresses.join(", "));
    }
    agent.set_time(SystemTime::now()).await?;
    let done = agent.exec(Exec::new("date").arg("-Ins")).await?;
    println!("date: {}", String::from_utf8_lossy(&done.stdout).trim());

    let bytes: Vec<u8> = (0..8 << 20_usize).map(|i| (i * 31 % 255) as u8).collect();
    let begun = Instant::now();
    agent.push(&mut &bytes[..], "/var/tmp/pushed", |_| ()).await?;
    println!("8 MiB there in {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut back = Vec::new();
    agent.pull("/var/tmp/pushed", &mut back, bytes.len() as u64, |_| ()).await?;
    println!("and back in {:?}", begun.elapsed());
    if back != bytes {
        return Err("it came back changed".into());
    }

    // A writer that says each time it got through.
    let writer =
        "while :; do sync -d /var/tmp/ticks 2>/dev/null; echo x >>/var/tmp/ticks; sync; sleep 0.05; done";
    let writer = agent.exec_start(&Exec::new("sh").args(["-c", writer])).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let frozen = agent.freeze().await?;
    println!("{} file systems frozen, {:?}", frozen.file_systems(), agent.freeze_status().await?);
    println!(
        "meanwhile: {}",
        agent.exec(Exec::new("date")).await.err().ok_or("a program ran in a frozen guest")?
    );
    frozen.thaw().await?;
    println!("{:?}", agent.freeze_status().await?);
    let status = agent.while_frozen(Duration::from_millis(100), std::future::pending::<()>()).await;
    println!("{}", status.err().ok_or("work that never ends ended")?);
    println!("{:?}", agent.freeze_status().await?);
    let kill = agent.exec(Exec::new("sh").arg("-c").arg(format!("kill {writer}"))).await?;
    println!("writer ended: {:?}", kill.exited);
    Ok(())
}
