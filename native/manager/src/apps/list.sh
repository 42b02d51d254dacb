# Lists the programs of this system for a menu: of each .desktop file a line with its path, and the keys that matter, with the name in
# the languages that are the arguments. What is not ours to read is left out.
ROOT=
names='Name'
for locale do names="$names|Name\[$locale\]"; done
count=0
for folder in "$ROOT"/home/*/.local/share/applications "$ROOT"/root/.local/share/applications \
  "$ROOT"/home/*/.local/share/flatpak/exports/share/applications \
  "$ROOT"/usr/local/share/applications "$ROOT"/usr/share/applications \
  "$ROOT"/var/lib/flatpak/exports/share/applications "$ROOT"/var/lib/snapd/desktop/applications; do
  for file in "$folder"/*.desktop; do
    [ -f "$file" ] || continue
    count=$((count + 1))
    # More are no menu any more.
    [ "$count" -le 1000 ] || exit 0
    printf '\n==== %s\n' "$file"
    head -c 65536 "$file" | grep -E "^(\[|($names|Type|NoDisplay|Hidden)[ 	]*=)" | head -n 40 | cut -c 1-400
  done
done
exit 0
