//! One virtual machine in a process of its own: see `sampan_emulator::vmhost`.

fn main() -> std::process::ExitCode {
    sampan_emulator::vmhost::main()
}
