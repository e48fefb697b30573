"""The scripts by which applications of macOS are told what `open` cannot tell them.

Fixed texts: `{seconds}` is all that is ever filled in. What they are about comes as arguments.
"""

from __future__ import annotations

__all__ = ["FOCUS_ITERM", "FOCUS_TERMINAL", "TAB_GHOSTTY", "TAB_ITERM", "WARP"]

FOCUS_TERMINAL = """\
on run argv
    set wanted to item 1 of argv
    with timeout of {seconds} seconds
        tell application id "com.apple.Terminal"
            repeat with aWindow in windows
                repeat with aTab in tabs of aWindow
                    if tty of aTab is wanted then
                        set selected of aTab to true
                        set index of aWindow to 1
                        activate
                        return
                    end if
                end repeat
            end repeat
        end tell
    end timeout
    error "Terminal has no such window." number -1728
end run
"""

TAB_ITERM = """\
on run argv
    set wanted to item 1 of argv
    with timeout of {seconds} seconds
        tell application id "com.googlecode.iterm2"
            if (count of windows) is 0 then
                create window with default profile command wanted
            else
                tell current window to create tab with default profile command wanted
            end if
            activate
        end tell
    end timeout
end run
"""

FOCUS_ITERM = """\
on run argv
    set wanted to item 1 of argv
    with timeout of {seconds} seconds
        tell application id "com.googlecode.iterm2"
            repeat with aWindow in windows
                repeat with aTab in tabs of aWindow
                    repeat with aSession in sessions of aTab
                        if unique ID of aSession is wanted then
                            select aWindow
                            select aTab
                            select aSession
                            activate
                            return
                        end if
                    end repeat
                end repeat
            end repeat
        end tell
    end timeout
    error "iTerm has no such session." number -1728
end run
"""

TAB_GHOSTTY = """\
on run argv
    set wanted to item 1 of argv
    with timeout of {seconds} seconds
        tell application id "com.mitchellh.ghostty"
            set theSurface to new surface configuration
            set command of theSurface to wanted
            if (count of windows) is 0 then
                new window with configuration theSurface
            else
                new tab in front window with configuration theSurface
            end if
            activate
        end tell
    end timeout
end run
"""

WARP = b"""\
umask 077
folder=$HOME/.warp/launch_configurations
mkdir -p "$folder" || exit
find "$folder" -name 'muster-*.yaml' -mmin +1 -exec rm -f {} +
cat >"$folder/$1.yaml" <<END || exit
---
name: $1
windows:
  - tabs:
      - layout:
          cwd: "$2"
          commands:
            - exec: "$3"
END
exec open "warp://launch/$1"
"""
