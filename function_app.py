"""
The functions of the broker, and the blueprints in ``jit/triggers`` that hold them.

App Service authentication stands in front of every route except ``api/health``, so the auth level
is anonymous. ``READERS`` are Requester, Operator, Auditor and Approver.

on      route, queue or schedule              function                 caller
------  ------------------------------------  -----------------------  -------------------
POST    api/access-requests                   create_access_request    Requester, System
GET     api/access-requests                   list_access_requests     READERS, System
GET     api/access-requests/{id}              get_access_request       READERS, System
GET     api/access-requests/{id}/outcome      get_outcome              READERS, System
POST    api/access-requests/{id}/revoke       revoke_access_request    Requester, System, Operator
POST    api/access-requests/{id}/extend       extend_access_request    Requester
GET     api/access                            list_access              READERS
GET     api/virtual-machines                  list_virtual_machines    READERS
PUT     api/virtual-machines/jit-policy       put_jit_policy           Operator
DELETE  api/virtual-machines/jit-policy       delete_jit_policy        Operator
GET     api/me                                get_me                   signed in
GET     api/my-address                        get_my_address           READERS
POST    api/reconcile                         start_reconcile          Operator
GET     api/barred                            list_bars                Operator, Auditor
GET     api/barred/{oid}                      get_bar                  Operator, Auditor
PUT     api/barred/{oid}                      put_bar                  Operator
DELETE  api/barred/{oid}                      delete_bar               Operator
GET     api/audit                             list_audit_records       Auditor
GET     api/audit/chains                      list_audit_chains        Auditor
GET     api/audit/chains/{chain}              get_audit_chain          Auditor
POST    api/audit/erasures                    begin_erasure            Operator
GET     api/problems/{slug}                   get_problem              signed in
GET     api/health                            get_health               anybody
GET     api/status                            get_status               Operator, Auditor
queue   jit-policy                            work_policy              the host
queue   jit-policy-poison                     alert_policy_poison      the host
queue   jit-reconcile                         reconcile_subscription   the host
queue   jit-reconcile-poison                  alert_reconcile_poison   the host
timer   %JIT_TICK_SCHEDULE%                   tick                     the host
timer   %JIT_RECONCILE_SCHEDULE%              reconcile                the host
"""

import azure.functions as func

from jit.triggers import access, audits, bars, machines, operations, requests, timers, workers

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for part in (requests, access, machines, operations, bars, audits, workers, timers):
    app.register_functions(part.bp)
