// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";
import {BaseTest} from "../Base.t.sol";
import {IERC734} from "../../../contracts/interfaces/IERC734.sol";
import {IIdentity} from "../../../contracts/interfaces/IIdentity.sol";

/// @dev Adds and removes keys as anybody, and keeps by itself what must come of it: one bitmap for each key, the first manager's among them.
contract KeysHandler is Test {
    IIdentity private immutable IDENTITY;
    address[] public actors;
    bytes32[] public keys;
    uint256 public requests;

    mapping(bytes32 key => uint256) public bitmapOf;
    mapping(bytes32 key => uint256) public typeOf;
    mapping(uint256 request => bytes) private _pending;

    constructor(IIdentity identity, address firstManager) {
        IDENTITY = identity;
        actors = [firstManager, makeAddr("second"), makeAddr("third"), makeAddr("lesser"), address(identity)];
        for (uint256 i = 0; i < 4; ++i) {
            keys.push(keccak256(abi.encode(actors[i])));
        }
        keys.push(keccak256("no address"));
        keys.push(bytes32(0));
        keys.push(keccak256(abi.encode(address(0))));
        (bitmapOf[keys[0]], typeOf[keys[0]]) = (2, 1);
    }

    function add(uint256 actor, uint256 key, uint256 purpose, uint256 keyType) external {
        keyType = keyType % 16 == 0 ? 65_536 : keyType % 8 == 1 ? 712 : 1;
        bytes memory data = abi.encodeCall(IERC734.addKey, (pickKey(key), pickPurpose(purpose), keyType));
        send(pickActor(actor), data);
    }

    function remove(uint256 actor, uint256 key, uint256 purpose) external {
        send(pickActor(actor), abi.encodeCall(IERC734.removeKey, (pickKey(key), pickPurpose(purpose))));
    }

    /// @dev Asks the identity to change its own keys: at once for a manager, on approval for a lesser key, never for a stranger.
    function ask(uint256 actor, bool adding, uint256 key, uint256 purpose) external {
        address sender = pickActor(actor);
        bytes memory data = adding
            ? abi.encodeCall(IERC734.addKey, (pickKey(key), pickPurpose(purpose), 1))
            : abi.encodeCall(IERC734.removeKey, (pickKey(key), pickPurpose(purpose)));
        uint256 rights = bitmapOf[keccak256(abi.encode(sender))];
        bool manages = isManager(sender);
        vm.prank(sender);
        (bool done,) = address(IDENTITY).call(abi.encodeCall(IERC734.execute, (address(IDENTITY), 0, data)));
        assertEq(done, manages || rights & 12 != 0, "who may ask"); // ACTION or CLAIM
        if (done && manages) apply_(data);
        if (done) _pending[requests++] = manages ? bytes("") : data;
    }

    function approve(uint256 actor, uint256 request) external {
        if (requests == 0) return;
        request %= requests;
        address sender = pickActor(actor);
        bool may = isManager(sender) && _pending[request].length != 0;
        vm.prank(sender);
        (bool done,) = address(IDENTITY).call(abi.encodeCall(IERC734.approve, (request, true)));
        assertEq(done, may, "who may approve, and once");
        if (!done) return;
        apply_(_pending[request]);
        _pending[request] = "";
    }

    function isManager(address account) public view returns (bool) {
        return account == address(IDENTITY) || bitmapOf[keccak256(abi.encode(account))] & 2 != 0;
    }

    function managers() public view returns (uint256 count) {
        for (uint256 i = 0; i < keys.length; ++i) {
            count += (bitmapOf[keys[i]] >> 1) & 1;
        }
    }

    function keyCount() external view returns (uint256) {
        return keys.length;
    }

    function send(address sender, bytes memory data) private {
        bool may = isManager(sender);
        vm.prank(sender);
        (bool done,) = address(IDENTITY).call(data);
        assertEq(done, may && apply_(data), "what a manager may do");
    }

    /// @dev The call, if it comes from a manager, on what is kept here; says no where the contract must revert.
    function apply_(bytes memory data) private returns (bool) {
        bytes32 key;
        uint256 purpose;
        uint256 keyType;
        assembly {
            key := mload(add(data, 0x24))
            purpose := mload(add(data, 0x44))
            keyType := mload(add(data, 0x64))
        }
        if (purpose == 0 || purpose > 127) return false;
        uint256 has = bitmapOf[key];
        uint256 bit = 1 << purpose;
        if (bytes4(data) == IERC734.removeKey.selector) {
            if (has & bit == 0 || (purpose == 1 && managers() == 1)) return false;
            bitmapOf[key] = has & ~bit;
            return true;
        }
        bool nobody = key == bytes32(0) || key == keccak256(abi.encode(address(0)));
        if (nobody || keyType > type(uint16).max || has & bit != 0) return false;
        if (has != 0 && typeOf[key] != keyType) return false;
        (bitmapOf[key], typeOf[key]) = (has | bit, keyType);
        return true;
    }

    /// @dev Mostly the identity itself, which may always, so that the keys do move.
    function pickActor(uint256 seed) private view returns (address) {
        seed %= 10;
        return actors[seed < 5 ? seed : 4];
    }

    function pickKey(uint256 seed) private view returns (bytes32) {
        seed %= 17; // the last two are nobody's
        return keys[seed < 15 ? seed % 5 : seed - 10];
    }

    function pickPurpose(uint256 seed) private pure returns (uint256) {
        return [uint256(1), 1, 2, 2, 3, 3, 127, 127, 1, 2, 3, 127, 2, 0, 128, 257][seed % 16];
    }
}

contract KeysInvariants is BaseTest {
    IIdentity internal identity;
    KeysHandler internal handler;

    function setUp() public override {
        super.setUp();
        identity = newIdentity();
        handler = new KeysHandler(identity, holder);
        targetContract(address(handler));
    }

    function invariant_KeysAreWhatWasDone() public view {
        for (uint256 i = 0; i < handler.keyCount(); ++i) {
            checkRecord(handler.keys(i));
        }
        for (uint256 purpose = 1; purpose < 128; purpose = purpose == 4 ? 127 : purpose + 1) {
            checkList(purpose);
        }
        assertGe(identity.getKeysByPurpose(MANAGEMENT).length, 1);
    }

    /// @dev Were a removed first manager to come back from the code, its record would not be the one that is kept.
    function checkRecord(bytes32 key) private view {
        uint256 bitmap = handler.bitmapOf(key);
        (uint256[] memory purposes, uint256 keyType, bytes32 found) = identity.getKey(key);
        assertEq(found, bitmap == 0 ? bytes32(0) : key);
        assertEq(keyType, bitmap == 0 ? 0 : handler.typeOf(key));
        assertEq(bitmapOf(purposes), bitmap);
        assertEq(abi.encode(identity.getKeyPurposes(key)), abi.encode(purposes));
        for (uint256 purpose = 0; purpose < 130; purpose = purpose == 4 ? 127 : purpose + 1) {
            bool has = bitmap & 2 != 0 || (purpose < 128 && (bitmap >> purpose) & 1 != 0);
            assertEq(identity.keyHasPurpose(key, purpose), has);
        }
    }

    function checkList(uint256 purpose) private view {
        bytes32[] memory listed = identity.getKeysByPurpose(purpose);
        uint256 count = 0;
        for (uint256 i = 0; i < handler.keyCount(); ++i) {
            count += (handler.bitmapOf(handler.keys(i)) >> purpose) & 1;
        }
        assertEq(listed.length, count);
        for (uint256 i = 0; i < count; ++i) {
            assertEq((handler.bitmapOf(listed[i]) >> purpose) & 1, 1);
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(listed[i], listed[j]);
            }
        }
    }

    function bitmapOf(uint256[] memory purposes) private pure returns (uint256 bitmap) {
        for (uint256 i = 0; i < purposes.length; ++i) {
            if (i != 0) assertGt(purposes[i], purposes[i - 1]); // sorted, and each once
            bitmap |= 1 << purposes[i];
        }
    }
}
