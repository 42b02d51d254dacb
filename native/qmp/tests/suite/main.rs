//! Monitors and guest agents: stand-ins at the other end of a socket, and a real agent.

mod agent;
mod agent_real;
mod peer;
