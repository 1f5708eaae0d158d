/* signals.c: a training that is told to stop finishes its step and saves first. */
#include "cli.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t came;

static const struct {
    int         signal;
    const char *name;
} stopping[] = { { SIGINT, "SIGINT" }, { SIGTERM, "SIGTERM" }, { SIGHUP, "SIGHUP" } };
enum { STOPPING = sizeof stopping / sizeof *stopping };

static struct sigaction before[STOPPING];

static void note(int signal)
{
    if (came) _exit(128 + signal);
    came = signal;
}

void cli_signals_begin(void)
{
    struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPPING; i++) {
        sigaction(stopping[i].signal, NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) sigaction(stopping[i].signal, &action, NULL); /* nohup wants it so */
    }
}

void cli_signals_end(void)
{
    for (int i = 0; i < STOPPING; i++) sigaction(stopping[i].signal, &before[i], NULL);
}

void cli_signals_forget(void)
{
    came = 0;
}

int cli_signalled(void)
{
    return came;
}

const char *cli_signal_name(int signal)
{
    for (int i = 0; i < STOPPING; i++)
        if (stopping[i].signal == signal) return stopping[i].name;
    return "a signal";
}
