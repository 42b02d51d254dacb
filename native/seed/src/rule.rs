//! What values of a seed must be.

use sampan_message::reasons;

reasons! {
    /// What a value must be. Each is of one field alone.
    #[non_exhaustive]
    pub enum ValueRule {
        InstanceName => "instance_name", "it is 1 to 64 letters, digits, - and _";
        HostName => "host_name", "it is labels of letters, digits and inner hyphens, at most 63 each, with dots between, at most 253 together";
        Package => "package", "a package is named by letters, digits and +._:=~-, beginning with a letter or a digit";
        Locale => "locale", "it is of the form de_DE.UTF-8";
        TimeZone => "time_zone", "it is of the form Europe/Berlin";
        Keyboard => "keyboard", "it is a layout such as de, and a variant such as nodeadkeys";
        Command => "command", "a command has 1 to 16384 bytes and no NUL";
        UserName => "user_name", "it is of lower-case letters, digits, _ and -, begins with a letter or _, and has at most 32; root is there already";
        Shell => "shell", "it is a path such as /bin/bash";
        HardwareAddress => "hardware_address", "it is a single card's: its first byte is even, and it is not zero";
        Prefix => "network_prefix", "it is 1 to 32 for IPv4, 1 to 128 for IPv6";
        Gateway => "gateway", "it is of the same family as the address";
        VolumeLabel => "volume_label", "it is 1 to 16 letters, digits, _ and -";
        ComputerName => "computer_name", "it is 1 to 15 letters, digits and inner hyphens, not digits alone";
        WindowsUser => "windows_user_name", "it is 1 to 20 characters without \"/\\[]:;|=,+*?<>@%, does not end with a dot, and is not one of Windows' own accounts";
        WindowsLocale => "windows_locale", "it is of the form de-DE";
        WindowsKeyboard => "windows_keyboard", "it is a locale such as de-DE, or a profile such as 0407:00000407";
        WindowsTimeZone => "windows_time_zone", "it is Windows' name of a time zone, such as W. Europe Standard Time (tzutil /l lists them)";
        Edition => "windows_edition", "it is a name such as Windows 11 Pro";
        ProductKey => "product_key", "it is five groups of five capitals and digits with hyphens between";
    }
}

reasons! {
    /// What a password must be.
    #[non_exhaustive]
    pub enum PasswordRule {
        Typed => "login_password", "it has 1 to 256 bytes and no control characters";
        Hash => "password_hash", "a hash begins with $5$, $6$, $y$, $gy$, $2b$ or $7$, as mkpasswd prints it";
        Windows => "windows_password", "it has at most 127 characters, none of them a control character";
    }
}

#[cfg(test)]
mod tests {
    use super::{PasswordRule, ValueRule};
    use sampan_message::are_distinct;

    #[test]
    fn every_rule_has_a_code_of_its_own() {
        assert!(are_distinct::<ValueRule>() && are_distinct::<PasswordRule>());
    }
}
