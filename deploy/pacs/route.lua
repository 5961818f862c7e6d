-- What arrives as CR or DX goes to the gateway; what does not get there is sent again.

local radiographs = { CR = true, DX = true }
local failed = {}

function OnStoredInstance(instanceId, tags, metadata, origin)
   if radiographs[tags['Modality']] then
      SendToModality(instanceId, 'gateway')
   end
end

function OnJobFailure(jobId)
   failed[jobId] = true
end

-- Called every LuaHeartBeatPeriod seconds: the gateway may have been away.
function OnHeartBeat()
   local again = failed
   failed = {}
   for jobId, _ in pairs(again) do
      RestApiPost('/jobs/' .. jobId .. '/resubmit', '')
   end
end
