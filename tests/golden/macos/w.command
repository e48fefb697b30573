#!/bin/sh
rm -f -- /tmp/muster-501-0123456789ab/w-0123456789ab.command
export MUSTER_HOME='/Users/me/Library/Application Support/muster'
unset XDG_STATE_HOME
exec /opt/homebrew/bin/python3 -I -m orchestrator.cli.main window w-0123456789ab
