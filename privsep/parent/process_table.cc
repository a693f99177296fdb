#include "privsep/parent/process_table.h"

#include "base/check.h"

namespace postern::privsep {

namespace {

constexpr ProcessRow kProcessRows[] = {
    // role              executable           user            instances            tickets
    {Role::signer,       "postern-signer",    "signer",       "",                  false},
    {Role::resolver,     "postern-resolver",  "resolver",     "",                  false},
    {Role::mailbox,      "postern-mailbox",   "mailbox",      "",                  true},
    {Role::queue,        "postern-queue",     "queue",        "",                  true},
    {Role::remote,       "postern-remote",    "remote",       "",                  false},
    {Role::verifier_out, "postern-verifier",  "verifier-out", "",                  true},
    {Role::verifier_in,  "postern-verifier",  "verifier-in",  "verify.processes",  false},
    {Role::control,      "postern-control",   "control",      "",                  false},
    {Role::web,          "postern-web",       "web",          "",                  false},
    {Role::listener,     "postern-listener",  "listener",     "smtp.listeners",    false},
};

constexpr HandedRow kHandedRows[] = {
    {Role::signer,   "keys",        Handed::state_folder,   "keys"},
    {Role::signer,   "certificate", Handed::file,           "tls.certificate"},
    {Role::signer,   "key",         Handed::file,           "tls.key"},
    {Role::mailbox,  "store",       Handed::state_folder,   "store"},
    {Role::mailbox,  "maildir",     Handed::folder,         "mailbox.maildir"},
    {Role::queue,    "spool",       Handed::state_folder,   "spool"},
    {Role::remote,   "ca",          Handed::file,           "relay.ca_file"},
    {Role::control,  "control",     Handed::control_socket, "control.sock"},
    {Role::web,      "web",         Handed::listen_sockets, "web.listen"},
    {Role::listener, "smtp",        Handed::listen_sockets, "smtp.listen"},
};

}  // namespace

std::span<const ProcessRow> process_rows() { return kProcessRows; }
std::span<const HandedRow> handed_rows() { return kHandedRows; }

const ProcessRow& process_row(Role role) {
  for (const ProcessRow& row : kProcessRows)
    if (row.role == role) return row;
  POSTERN_CHECK(false);
}

}  // namespace postern::privsep
