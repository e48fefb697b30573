"""The keeper's half that is made of Windows: threads where handles cannot be polled, a job where there is
no subreaper, a pseudo console where there is no kernel terminal. Unlike the rest of the keeper it may use
the whole standard library: a Windows keeper is always executed and never forked.
"""
