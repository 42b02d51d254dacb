# What takes KVM, which emulates a machine of the host's own architecture alone.
CONFIG_HYPERV=y
